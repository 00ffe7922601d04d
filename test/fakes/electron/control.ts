/** Runs what the test sends: a function of this module's exports and one argument, as Playwright's `electronApplication.evaluate` does. */
export function listenToTest(): void {
  process.on('message', async ({ id, body, argument }: { id: number; body: string; argument: unknown }) => {
    try {
      const act = new Function(`return (${body});`)() as (electron: unknown, argument: unknown) => unknown;
      const value: unknown = await act(await import('./electron.ts'), argument);
      process.send?.({ id, value: value ?? null });
    } catch (error) {
      process.send?.({ id, error: String(error) });
    }
  });
  // The test's end is ours.
  process.on('disconnect', () => process.exit(1));
}
