"""A result, indexed by the questions that provenance asks: who started an image, how it ended.

Wall clocks of one host are compared with each other, with a slack where one is as coarse as the
kernel's boot time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from itertools import pairwise

from covsup.datafile.journal.events import EndedHow
from covsup.datafile.journal.header import StartKind
from covsup.datafile.provenance.command_lines import is_python
from covsup.datafile.provenance.exit_statuses import detail_of, ending_of_record, ending_of_status
from covsup.datafile.provenance.model import End, Ending, KnownFrom
from covsup.datafile.provenance.observed import CLOCK_SLACK, observed_processes
from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from covsup.datafile.fold.result import ChildExit, Image, Result
    from covsup.datafile.provenance.observed import ObservedProcess
    from covsup.datafile.session.observations import Observation


class ResultIndex:
    """The images of a result, their processes, and how they belong together."""

    def __init__(self, result: Result) -> None:
        """Index `result`, which is not changed later."""
        self.result = result
        # All orders are made here: a set has none, and one result must always give one answer.
        self.images = sorted(result.images.values(), key=lambda each: each.identity.key)
        self.by_pid: dict[tuple[str, int], list[Image]] = defaultdict(list)
        """By session and pid, in order of time."""
        self.successor: dict[str, Image] = {}
        """By image id: the image that an exec of that one began."""
        self.predecessor: dict[str, Image] = {}
        """By image id: the image before an exec that neither of the two recorded."""
        self.executables = {
            value for image in self.images for key, value in image.properties if key == "executable"
        }
        for image in self.images:
            identity = image.identity
            self.by_pid[identity.session, identity.pid].append(image)
            if identity.started is StartKind.EXECED and identity.parent_id is not None:
                self.successor[identity.parent_id] = image
        self.child_exits: dict[tuple[str, int], list[ChildExit]] = defaultdict(list)
        """By session and pid, in order of time: what waiting parents recorded."""
        for child_exit in sorted(result.child_exits, key=lambda each: (each.at_ns, each)):
            self.child_exits[self.session_of(child_exit.by), child_exit.pid].append(child_exit)
        self.processes = observed_processes(result.observations)
        self._images_of_process: dict[int, list[Image]] = defaultdict(list)
        self._process_of_image: dict[str, ObservedProcess] = {}
        self._match_observed_processes()
        self._match_unreported_execs()

    def session_of(self, image_id: str) -> str:
        """The session of an image; "" where the result does not know it."""
        image = self.result.images.get(image_id)
        return "" if image is None else image.identity.session

    def images_of(self, process: ObservedProcess) -> list[Image]:
        """The images of an observed process, oldest first."""
        return self._images_of_process[id(process)]

    def argv(self, image: Image, properties: dict[str, str]) -> tuple[str, ...]:
        """The command line of an image: its own record, or else what the supervisor observed.

        An embedded Python records none.
        """
        if properties.get("argv"):
            return tuple(properties["argv"].split("\0"))
        process = self._process_of_image.get(image.identity.image_id)
        return process.summary().argv if process is not None else ()

    def parent(self, image: Image) -> tuple[str | None, KnownFrom]:
        """The id of the image that started an image, and how that is known."""
        identity = image.identity
        before = self.predecessor.get(identity.image_id)
        if before is not None:
            return before.identity.image_id, KnownFrom.PROCESS_ID
        if identity.started is not StartKind.SPAWNED:
            known = KnownFrom.ITSELF if identity.parent_id else KnownFrom.NOBODY
            return identity.parent_id, known
        of_pid = self.by_pid.get((identity.session, identity.ppid), ())
        candidates = [each for each in of_pid if each.identity.key < identity.key]
        if candidates and self._alive_at(candidates[-1], identity.started_ns):
            return candidates[-1].identity.image_id, KnownFrom.PROCESS_ID
        if identity.parent_id is not None:
            return identity.parent_id, KnownFrom.ENVIRONMENT
        return None, KnownFrom.NOBODY

    def ending(self, image: Image) -> Ending:
        """How an image ended. What the kernel reported counts more than what the process recorded."""
        next_image = self.successor.get(image.identity.image_id)
        if next_image is not None:
            program = (
                image.about_to_exec.path
                if image.about_to_exec
                else next_image.property_values().get("executable", "")
            )
            return Ending(end=End.EXECED, known_from=KnownFrom.SUCCESSOR, detail=program)
        if image.about_to_exec is not None and self.ended_by_exec(image):
            return Ending(
                end=End.EXECED, known_from=KnownFrom.ITSELF, detail=image.about_to_exec.path
            )
        replacement = self._replacement(image)
        if replacement is not None:
            return Ending(
                end=End.EXECED, known_from=KnownFrom.SUPERVISOR, detail=replacement.executable
            )
        return self._ending_with_process(image)

    def ended_ns(self, image: Image) -> int:
        """When an image ended, wall clock; 0 = unknown."""
        next_image = self.successor.get(image.identity.image_id)
        if next_image is not None:
            return next_image.identity.started_ns
        if image.about_to_exec is not None and self.ended_by_exec(image):
            return image.about_to_exec.at_ns
        if image.ended is not None:
            return image.ended.at_ns
        child_exit = self._exit_of(image)
        if child_exit is not None:
            return child_exit.at_ns
        process = self._process_ended_with(image)
        return 0 if process is None else process.ended_ns()

    def _ending_with_process(self, image: Image) -> Ending:
        """How the last image of a process ended."""
        if image.ended is not None and image.ended.how is EndedHow.DETACH:
            return self._recorded_ending(image)  # the process itself ended later
        child_exit = self._exit_of(image)
        if child_exit is not None:
            ending = ending_of_status(child_exit.status, KnownFrom.PARENT)
        else:
            process = self._process_ended_with(image)
            observed = None if process is None else process.ending()
            if observed is None:
                return self._recorded_ending(image)
            ending = observed
        if image.ended is not None and ending.end is End.EXITED:
            return ending._replace(detail=detail_of(image.ended.how))
        return ending

    def _recorded_ending(self, image: Image) -> Ending:
        """How an image ended where only its own record is left."""
        if image.ended is not None:
            return ending_of_record(image.ended.how, image.ended.status)
        if image.running_ns > image.gone_ns:
            return Ending(end=End.RUNNING, known_from=KnownFrom.SUPERVISOR)
        return Ending(end=End.UNKNOWN)

    def ended_by_exec(self, image: Image) -> bool:
        """Whether the last thing that an image recorded is an exec that did not fail."""
        about, failed, ended = image.about_to_exec, image.exec_failed, image.ended
        if about is None or (failed is not None and failed.at_ns >= about.at_ns):
            return False
        if ended is not None and ended.at_ns >= about.at_ns:
            return False
        return not image.running_ns > max(about.at_ns, image.gone_ns)

    def was_replaced_by_python(self, image: Image) -> bool:
        """Whether an exec that no journal records made a Python without a journal of an image."""
        replacement = self._replacement(image)
        return replacement is not None and is_python(replacement.argv[0])

    def _replacement(self, image: Image) -> Observation | None:
        """The program that replaced an image by an exec which no Python code recorded.

        C code made such an exec (uvloop's, ctypes'), with an environment of its own.
        """
        identity = image.identity
        process = self._process_ended_with(image)
        if process is None:
            return None
        # An observation from before the image began is of the program that became it, such as a
        # shell. The last one, at the process's end, repeats an earlier one, unless it has a reason.
        observation = next(
            (
                each
                for each in reversed(process.observations)
                if each.argv
                and each.at_ns > identity.started_ns
                and (not each.ended or each.reason)
            ),
            None,
        )
        argv = image.property_values().get("argv", "").split("\0")
        if observation is None or not is_python(argv[0]):
            return None
        is_fork = identity.started is StartKind.FORKED
        if is_fork and observation.reason:
            return observation  # a fork is measured as its parent is, so this is another program
        if observation.argv == tuple(argv):
            return None
        if is_python(observation.argv[0]):
            # A spawned Python may show another command line than the one that it was started with.
            return observation if observation.reason or is_fork else None
        # A program that changes its title changes its command line, but not its executable.
        is_other = observation.executable != "" and not is_python(observation.executable)
        return observation if is_other else None

    def exit_of_unmeasured(self, process: ObservedProcess) -> ChildExit | None:
        """What a measured parent recorded of the end of a process that has no journal."""
        begin = int((process.created - CLOCK_SLACK) * 1e9)
        for child_exit in self.child_exits.get((process.session, process.pid), ()):
            if child_exit.at_ns >= begin:
                return child_exit
        return None

    def image_at(self, session: str, pid: int, at_ns: int) -> str | None:
        """The id of the image that a pid was at a time; None: it was none, or had ended."""
        for image in reversed(self.by_pid.get((session, pid), ())):
            if image.identity.started_ns <= at_ns + int(CLOCK_SLACK * 1e9):
                return image.identity.image_id if self._alive_at(image, at_ns) else None
        return None

    def _alive_at(self, image: Image, at_ns: int) -> bool:
        """Whether no parent recorded that the process of `image` had ended by then."""
        identity = image.identity
        ends = [
            child_exit.at_ns
            for child_exit in self.child_exits.get((identity.session, identity.pid), ())
            if child_exit.at_ns >= identity.started_ns
        ]
        return not ends or min(ends) >= at_ns

    def _exit_of(self, image: Image) -> ChildExit | None:
        """What a parent recorded of the end of the image's process."""
        identity = image.identity
        child_exits = self.child_exits.get((identity.session, identity.pid))
        if child_exits is None:
            return None
        index = bisect_left(child_exits, identity.started_ns, key=lambda each: each.at_ns)
        if index == len(child_exits):
            return self._only_exit_of(image, child_exits)
        child_exit = child_exits[index]
        for other in self.by_pid[identity.session, identity.pid]:
            # A later process had this pid before the wait, so the wait is for that one.
            if identity.key < other.identity.key and other.identity.started_ns <= child_exit.at_ns:
                return None
        return child_exit

    def _only_exit_of(self, image: Image, child_exits: list[ChildExit]) -> ChildExit | None:
        """The parent's record, where the clock was set back while the image ran.

        Only where there is no doubt: one process had this pid, and there is one record.
        """
        identity = image.identity
        by_parent = [each for each in child_exits if each.by == identity.parent_id]
        of_pid = self.by_pid[identity.session, identity.pid]
        begun = [each for each in of_pid if each.identity.started is not StartKind.EXECED]
        if len(by_parent) != 1 or begun != [image]:
            return None
        return by_parent[0]

    def _process_ended_with(self, image: Image) -> ObservedProcess | None:
        """The observed process whose last image this is."""
        process = self._process_of_image.get(image.identity.image_id)
        if process is None or self.images_of(process)[-1] is not image:
            return None
        return process

    def _match_observed_processes(self) -> None:
        """Find the observed process of each image."""
        by_pid: dict[tuple[str, str, int], list[ObservedProcess]] = defaultdict(list)
        for process in self.processes:
            by_pid[process.session, "", process.pid].append(process)
            summary = process.summary()
            if summary.namespace:
                by_pid[process.session, summary.namespace, summary.inner_pid].append(process)
        namespaces = {namespace for _, namespace, _ in by_pid}
        for (session, pid), images in self.by_pid.items():
            for image in images:
                # An image knows its pid only in its own namespace.
                own = (
                    image.property_values().get("pid_namespace", "") if len(namespaces) > 1 else ""
                )
                of_pid = by_pid.get((session, own if own in namespaces else "", pid), ())
                begun = [each for each in of_pid if each.existed_at_start_of(image)]
                if not begun:
                    # In a time namespace, the time since boot is another one.
                    begun = [
                        each
                        for each in of_pid
                        if each.existed_at_start_of(image, by_wall_clock=True)
                    ]
                if begun:
                    self._process_of_image[image.identity.image_id] = begun[-1]
                    self._images_of_process[id(begun[-1])].append(image)

    def _match_unreported_execs(self) -> None:
        """Find the images that follow a forked one in its process though no exec is recorded.

        subprocess makes them where it gets an environment and a preexec_fn: it then forks the child.
        So does C code that forks and then executes a program in the session.
        """
        for images in self.by_pid.values():
            for forked, image in pairwise(images):
                if (
                    forked.identity.started is StartKind.FORKED
                    and image.identity.started is StartKind.SPAWNED
                    and forked.identity.image_id not in self.successor
                    and forked.ended is None
                    and self._are_one_process(forked, image)
                ):
                    self.successor[forked.identity.image_id] = image
                    self.predecessor[image.identity.image_id] = forked

    def _are_one_process(self, one: Image, later: Image) -> bool:
        """Whether two images with one pid are one process.

        They are if no end was recorded or observed in between, and the supervisor observed one
        process, or none and they have the same parent.
        """
        identity = one.identity
        times = range(identity.started_ns, later.identity.started_ns)
        child_exits = self.child_exits.get((identity.session, identity.pid), ())
        if any(each.at_ns in times for each in child_exits):
            return False
        process = self._process_of_image.get(identity.image_id)
        if process is not self._process_of_image.get(later.identity.image_id):
            return False
        if process is None:
            return identity.parent_id == later.identity.parent_id
        return not any(each.ended and each.at_ns in times for each in process.observations)
