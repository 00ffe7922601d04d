/**
 * Tokens that a generation may make at most: what was asked for, and what still fits the model's positions, since prompt and made tokens
 * together never pass them. Less than 1 where the prompt leaves no room.
 */
export function tokenLimit(promptTokens: number, maxNewTokens: number, maxPositions: number): number {
  return Math.min(maxNewTokens, maxPositions - promptTokens);
}

/** Tokens that a generation is charged for at most. Over stages every token goes through each of them, those of the prompt too. */
export function mostTokens(
  { maxNewTokens, maxPositions, stages }: { maxNewTokens: number; maxPositions: number; stages: number | null },
  promptTokens: number,
): number {
  const made = tokenLimit(promptTokens, maxNewTokens, maxPositions);
  return stages === null ? made : stages * (promptTokens + made);
}
