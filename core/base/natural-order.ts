/** Compares texts as people order names with numbers in them: `a#9` before `a#10`. The same on every machine. */
export function naturalOrder(a: string, b: string): number {
  const as = a.split(/(\d+)/);
  const bs = b.split(/(\d+)/);
  for (let i = 0; i < Math.min(as.length, bs.length); i++) {
    const [left, right] = [as[i]!, bs[i]!];
    // Every second part is digits.
    const numbers = i % 2 === 1 ? Number(left) - Number(right) : 0;
    if (numbers !== 0) return numbers;
    if (left !== right) return left < right ? -1 : 1;
  }
  return as.length - bs.length;
}
