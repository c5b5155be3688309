/**
 * Lets so many do something at once. The others wait for their turn in order of arrival, and each for so long at the most: whoever got none
 * by then is told so, with null.
 */
export class FewAtOnce {
  private underWay = 0;
  private readonly waiting = new Set<() => void>();

  constructor(
    private readonly most: number,
    private readonly patienceMs: number,
  ) {}

  async run<T>(work: () => Promise<T>): Promise<T | null> {
    if (this.underWay < this.most) this.underWay += 1;
    else if (!(await this.turn())) return null;
    try {
      return await work();
    } finally {
      this.handOn();
    }
  }

  private turn(): Promise<boolean> {
    return new Promise((resolve) => {
      const taken = () => {
        clearTimeout(patience);
        resolve(true);
      };
      const patience = setTimeout(() => {
        this.waiting.delete(taken);
        resolve(false);
      }, this.patienceMs);
      patience.unref();
      this.waiting.add(taken);
    });
  }

  /** The place of whoever has finished is the next one's, without a moment in between for somebody new. */
  private handOn(): void {
    const [next] = this.waiting;
    if (next === undefined) {
      this.underWay -= 1;
      return;
    }
    this.waiting.delete(next);
    next();
  }
}
