import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Collections that code must have outlived unused before it is dropped: V8's own number, and one that holds in the collection that is asked for here. */
const USUAL_AGE = 6;
const ANY_AGE = 1;

/**
 * Collects garbage now and gives the freed pages back to the system: for a moment in which nothing goes on and nobody waits, since V8 would
 * otherwise keep them until there is work again. Compiled code goes too (5 MB measured), and is compiled anew where it is wanted again. Takes some
 * tens of ms.
 */
export function giveHeapBack(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as (options: { type: 'major'; flavor: 'last-resort' }) => void;
  setFlagsFromString('--flush-baseline-code');
  setFlagsFromString(`--bytecode-old-age=${ANY_AGE}`);
  collect({ type: 'major', flavor: 'last-resort' });
  setFlagsFromString(`--bytecode-old-age=${USUAL_AGE}`);
}
