import { CANARIES } from './canaries.ts';
import { LEAST_AUDITS, RECHECKED } from './reputation.ts';

/** The least part of a trusted machine's lies that is caught: accomplices who meet only each other are found out by canaries, and where the reference looks too. */
export const LEAST_CAUGHT = CANARIES + LEAST_AUDITS * RECHECKED;

/**
 * What has to be held back of a worker's pay for cheating to lose, in the unit in which `saved` and `pay` are given: H > g / q − w. A cheat saves g a
 * result, and where it is caught, with probability q, loses what is held back and this result's pay w. Source: DESIGN, section 5.
 * @param saved g, what not computing a result saves its worker; its whole price at most, since nobody computes at a loss
 * @param caught q in (0, 1] @param pay w
 */
export function leastHoldBack(saved: number, caught: number, pay: number): number {
  return Math.max(0, saved / caught - pay);
}
