"""What of a task is sealed in its row, and where: bytes that are moved elsewhere do not open."""

from ledger.envelope import Envelope


def callback_opened(envelope: Envelope, sealed: bytes, account_id: int, task_id: str) -> bytes:
    """The task's own address again, for its delivery."""
    return envelope.open(sealed, place("callback", account_id, task_id))


def place(column: str, account_id: int, task_id: str) -> str:
    """Where a sealed field of a task stands."""
    return f"tasks.task.{column}|{account_id}|{task_id}"
