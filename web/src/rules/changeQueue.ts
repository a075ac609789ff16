// Queue for changes that arrive while their target is being fetched. The answer of a fetch is older than these changes
// and would overwrite them, so they wait and are then applied to the answer.

/** Changes in the order of arrival. They wait while `isFetching` returns true. */
export class ChangeQueue {
  private readonly waiting: (() => void)[] = [];
  private isApplying = false;

  constructor(private readonly isFetching: () => boolean) {}

  /** Apply a change now, or after the running fetch. */
  push(change: () => void): void {
    this.waiting.push(change);
    this.flush();
  }

  /** Apply a change that is older than all waiting ones. */
  pushFirst(change: () => void): void {
    this.waiting.unshift(change);
    this.flush();
  }

  /** Apply the waiting changes, unless a fetch is still running. Call it when a fetch has ended. */
  flush(): void {
    if (this.isApplying) return;
    this.isApplying = true;
    try {
      while (this.waiting.length && !this.isFetching()) this.waiting.shift()?.();
    } finally {
      this.isApplying = false;
    }
  }
}
