"""A small operating system of objects (tasks, packets, queues), like the Richards benchmark."""

from __future__ import annotations

from collections import deque


class Packet:
    def __init__(self, kind: str, size: int) -> None:
        self.kind = kind
        self.size = size
        self.hops = 0


class Task:
    def __init__(self, kernel: Kernel, name: str, priority: int) -> None:
        self.kernel = kernel
        self.name = name
        self.priority = priority
        self.inbox: deque[Packet] = deque()
        self.held = False
        self.count = 0
        kernel.add(self)

    @property
    def ready(self) -> bool:
        return bool(self.inbox) and not self.held

    def step(self) -> None:
        packet = self.inbox.popleft()
        packet.hops += 1
        self.count += 1
        self.handle(packet)

    def handle(self, packet: Packet) -> None:
        raise NotImplementedError

    def send(self, packet: Packet, name: str) -> None:
        self.kernel.deliver(packet, name)


class Device(Task):
    def handle(self, packet: Packet) -> None:
        if packet.size > 0:
            packet.size -= 1
            self.send(packet, self.name)
        else:
            packet.size = 3
            self.send(packet, "handler")


class Handler(Task):
    def handle(self, packet: Packet) -> None:
        match packet.kind:
            case "work":
                packet.kind = "disk"
                self.send(packet, "worker")
            case "disk":
                self.send(packet, "disk")
            case _:
                self.send(packet, "net")


class Worker(Task):
    def __init__(self, kernel: Kernel, name: str, priority: int) -> None:
        super().__init__(kernel, name, priority)
        self.seed = 1

    def handle(self, packet: Packet) -> None:
        self.seed = (self.seed * 1103515245 + 12345) & 0x7FFFFFFF
        if self.seed & 0x10000:
            packet.kind = "net"
        elif self.seed & 0x20000:
            packet.kind = "work"
        else:
            packet.kind = "disk"
        self.send(packet, "handler")


class Kernel:
    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.names: dict[str, Task] = {}
        self.delivered = 0

    def add(self, task: Task) -> None:
        self.tasks.append(task)
        self.tasks.sort(key=lambda known: -known.priority)
        self.names[task.name] = task

    def deliver(self, packet: Packet, name: str) -> None:
        task = self.names[name]
        task.inbox.append(packet)
        self.delivered += 1

    def run(self, deliveries: int) -> None:
        while self.delivered < deliveries:
            for task in self.tasks:
                if task.ready:
                    task.step()


def work() -> None:
    kernel = Kernel()
    Worker(kernel, "worker", 10)
    Handler(kernel, "handler", 20)
    Device(kernel, "disk", 30)
    Device(kernel, "net", 40)
    for number in range(12):
        kernel.deliver(Packet("work" if number % 2 else "disk", number % 4), "handler")
    kernel.run(400_000)
    assert sum(task.count for task in kernel.tasks) + 12 >= kernel.delivered
