/** What an energy counter of the kernel said: microjoules since some beginning, at a time in ms of any clock. */
interface Count {
  microjoules: number;
  atMs: number;
}

/**
 * The power (W) between two looks at a counter; null before the second one, where the clock stood still, and where it can't be told. A counter that
 * begins again at `rangeMicrojoules` is taken to have done so once between two looks; one of unknown range that went back was reset.
 */
export function powerBetween(before: Count | null, after: Count, rangeMicrojoules: number | null): number | null {
  if (before === null) return null;
  const seconds = (after.atMs - before.atMs) / 1000;
  let microjoules = after.microjoules - before.microjoules;
  if (microjoules < 0) {
    if (rangeMicrojoules === null || before.microjoules > rangeMicrojoules) return null;
    microjoules += rangeMicrojoules;
  }
  return seconds > 0 && microjoules >= 0 ? microjoules / 1e6 / seconds : null;
}

/** Turns looks at a counter into power. @param most W above which it isn't believed: a counter was reset between two looks */
export function powerMeter(most: number): (microjoules: number | null, atMs: number, rangeMicrojoules: number | null) => number | null {
  let before: Count | null = null;
  return (microjoules, atMs, rangeMicrojoules) => {
    const after = microjoules === null ? null : { microjoules, atMs };
    const power = after === null ? null : powerBetween(before, after, rangeMicrojoules);
    before = after;
    return power !== null && power <= most ? power : null;
  };
}
