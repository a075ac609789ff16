// The 95 % confidence interval of a mean.

/** With fewer values the interval is too wide to be useful. */
export const MIN_VALUES = 5;

const Z = 1.959964;

type Values = { count: number; mean: number; stddev: number | null };

/** Return the interval of a mean by Student's t-distribution; null for too few values. */
export function meanInterval({ count, mean, stddev }: Values): [low: number, high: number] | null {
  if (count < MIN_VALUES || stddev === null) return null;
  const reach = (quantile(count - 1) * stddev) / Math.sqrt(count);
  return [mean - reach, mean + reach];
}

/** Return the interval of a share by Wilson's formula, which stays between 0 and 1; null for too few values. */
export function shareInterval({ count, mean }: Omit<Values, "stddev">): [low: number, high: number] | null {
  if (count < MIN_VALUES) return null;
  const middle = mean + Z ** 2 / (2 * count);
  const reach = Z * Math.sqrt((mean * (1 - mean)) / count + Z ** 2 / (4 * count ** 2));
  const scale = 1 + Z ** 2 / count;
  return [Math.max(0, (middle - reach) / scale), Math.min(1, (middle + reach) / scale)];
}

/** Return the 97.5 % quantile of Student's t-distribution, by the expansion in Abramowitz and Stegun, 26.7.5. */
function quantile(freedom: number): number {
  const first = (Z ** 3 + Z) / 4;
  const second = (5 * Z ** 5 + 16 * Z ** 3 + 3 * Z) / 96;
  const third = (3 * Z ** 7 + 19 * Z ** 5 + 17 * Z ** 3 - 15 * Z) / 384;
  const fourth = (79 * Z ** 9 + 776 * Z ** 7 + 1482 * Z ** 5 - 1920 * Z ** 3 - 945 * Z) / 92160;
  return Z + first / freedom + second / freedom ** 2 + third / freedom ** 3 + fourth / freedom ** 4;
}
