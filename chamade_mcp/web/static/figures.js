// Numbers and spans of time as people read them.
const whole = new Intl.NumberFormat();
const short = new Intl.NumberFormat([], { notation: "compact", maximumFractionDigits: 1 });

export const count = (n) => whole.format(n);

/** For the axis of a plot: "1.2K". */
export const briefly = (n) => short.format(n);

const SPANS = [
  [86400, "day", "days"],
  [3600, "h"],
  [60, "min"],
];

/** "0.4 s", "12 s", "5 min", "2.5 h", "3 days". */
export function span(seconds) {
  for (const [length, one, many = one] of SPANS) {
    // 59.7 minutes would be rounded to 60 of them.
    if (seconds < length * 0.995) continue;
    const value = seconds / length;
    const said = value < 10 ? Number(value.toFixed(1)) : Math.round(value);
    return `${whole.format(said)} ${said === 1 ? one : many}`;
  }
  return `${seconds < 10 ? Number(seconds.toFixed(1)) : Math.round(seconds)} s`;
}
