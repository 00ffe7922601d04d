/** Text as it comes, up to the first of some words. */
export interface StopScanner {
  /** What of the text so far can be shown now; what may be the beginning of such a word waits. `stopped`: one has come, and nothing follows it. */
  push(text: string): { text: string; stopped: boolean };
  /** What waited in vain: nothing else comes. */
  rest(): string;
}

export function createStopScanner(stops: readonly string[]): StopScanner {
  let held = '';
  let stopped = false;
  return {
    push(piece) {
      if (stopped) return { text: '', stopped };
      const text = held + piece;
      const at = Math.min(...stops.map((stop) => text.indexOf(stop)).filter((index) => index >= 0));
      stopped = Number.isFinite(at);
      const shown = stopped ? at : text.length - heldBack(text, stops);
      held = stopped ? '' : text.slice(shown);
      return { text: text.slice(0, shown), stopped };
    },
    rest() {
      const text = held;
      held = '';
      return text;
    },
  };
}

/** Length of the longest end of a text with which one of the words begins. */
function heldBack(text: string, stops: readonly string[]): number {
  let longest = 0;
  for (const stop of stops) {
    for (let length = Math.min(stop.length - 1, text.length); length > longest; length -= 1) {
      if (text.endsWith(stop.slice(0, length))) {
        longest = length;
        break;
      }
    }
  }
  return longest;
}
