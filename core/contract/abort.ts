/** Why an attempt was broken off from this side or the network's. */
export type AbortReason = 'paused' | 'stopped' | 'revoked' | 'expired';

/** Whether nothing but the result is unwanted: the machine may be used on, so that a generation can end by itself at its next token. */
export function isUnwanted({ reason }: AbortSignal): boolean {
  return reason === ('revoked' satisfies AbortReason) || reason === ('expired' satisfies AbortReason);
}
