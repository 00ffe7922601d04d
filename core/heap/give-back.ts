import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Collects garbage now and gives the freed pages back to the system: for a moment in which nothing goes on and nobody waits, since V8 would
 * otherwise keep them until there is work again. Takes some tens of ms.
 */
export function giveHeapBack(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as (options: { type: 'major'; flavor: 'last-resort' }) => void;
  collect({ type: 'major', flavor: 'last-resort' });
}
