// Changes that arrive while what they change is being fetched. The answer of a fetch is of the moment when it began, and
// replaces what stands: a change that was applied meanwhile would be lost. So it waits, and is applied to the answer.

/** Changes in the order in which they arrived. While `isFetching` says so they wait. */
export class ChangeQueue {
  private readonly waiting: (() => void)[] = [];
  private isApplying = false;

  constructor(private readonly isFetching: () => boolean) {}

  /** Apply a change, now or once what it changes has been fetched. */
  push(change: () => void): void {
    this.waiting.push(change);
    this.flush();
  }

  /** Apply a change that is older than all that wait. */
  pushFirst(change: () => void): void {
    this.waiting.unshift(change);
    this.flush();
  }

  /** Apply what waits, unless something is still being fetched. Call it when a fetch has ended. */
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
