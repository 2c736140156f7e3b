"""How many tasks and webhooks there may be, how long they live, when a runner counts as dead."""

import msgspec

# A task is tried again when its gateway died, and then no more: a file that takes the gateway
# along would otherwise take one after the other.
ATTEMPTS_MAX = 2


class TaskLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Times in seconds; all clocks are the database's."""

    # Three heart-beats fit, so that one pause of a busy machine does not count as death.
    lease_s: float = 15.0
    # The queue is counted under a lock at every submission: about 2 ms at this many.
    queued_max: int = 10_000
    # An evening's batch of one customer; whoever has more sends them as places become free.
    account_queued_max: int = 200
    # A task that did not begin by then is given up, uncharged. Its stored files live as long.
    queue_s: float = 3600.0
    # How long one that is over is remembered; results have their own lifetime, and longer ones
    # keep their task.
    remembered_s: float = 3600.0
    # Addresses of one account that hear of its tasks.
    account_hooks_max: int = 16
    # A target that is away for its whole retry schedule may have that many events waiting.
    hook_backlog_max: int = 5_000
    # Five days without a single success: nobody is there, or nobody looks.
    hook_patience_s: float = 5 * 86_400.0
    # How long one can look at a delivery, and send it again, after it ended.
    log_s: float = 7 * 86_400.0

    def __post_init__(self) -> None:
        """Refuse times and numbers that would take every task or none."""
        times = (self.lease_s, self.queue_s, self.remembered_s, self.hook_patience_s, self.log_s)
        if min(times) <= 0:
            raise ValueError("the times of tasks and webhooks are more than 0 seconds")
        counts = (
            *(self.queued_max, self.account_queued_max),
            *(self.account_hooks_max, self.hook_backlog_max),
        )
        if min(counts) < 0:
            raise ValueError("the numbers of tasks and webhooks are 0 or more")
