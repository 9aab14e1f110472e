"""The union of journals into one result."""
