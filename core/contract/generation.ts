/**
 * Tokens that a generation may make at most: what was asked for, and what still fits the model's positions, since prompt and made tokens
 * together never pass them. Less than 1 where the prompt leaves no room.
 */
export function tokenLimit(promptTokens: number, maxNewTokens: number, maxPositions: number): number {
  return Math.min(maxNewTokens, maxPositions - promptTokens);
}
