/** No tool's line is longer; what is, is no line of ours. */
const MAX_LINE_CHARACTERS = 4096;

/**
 * Cuts a stream of text into its lines, wherever the pieces that it comes in begin and end. Holds one unfinished line at most, and that only up
 * to a bound: a line that passes it is dropped whole.
 */
export function lineCutter(onLine: (line: string) => void): (piece: string) => void {
  let rest = '';
  let overlong = false;
  return (piece) => {
    const lines = (rest + piece).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (!overlong && line.length <= MAX_LINE_CHARACTERS) onLine(line.replace(/\r$/, ''));
      overlong = false;
    }
    if (rest.length > MAX_LINE_CHARACTERS) {
      rest = '';
      overlong = true;
    }
  };
}
