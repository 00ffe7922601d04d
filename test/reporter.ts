import { writeFileSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';

/** Writes the run's outcome to the file that HEARTHLEND_TEST_RESULTS names, for the summary that `npm test` ends with. */
export default class ResultsFile implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const file = process.env.HEARTHLEND_TEST_RESULTS;
    if (file === undefined) return;
    const tests = modules.flatMap((module) => [...module.children.allTests()].map((test) => ({ test, module })));
    // A file or suite that failed outside of its tests, such as by an import or a hook, has no failed test to count.
    const broken = modules.reduce(
      (sum, module) => sum + [module, ...module.children.allSuites()].filter((part) => part.errors().length > 0).length,
      0,
    );
    const skipped = tests.flatMap(({ test, module }) => {
      const result = test.result();
      return result.state === 'skipped' ? [{ name: `${module.relativeModuleId} > ${test.fullName}`, reason: result.note ?? null }] : [];
    });
    const count = (state: 'passed' | 'failed'): number => tests.filter(({ test }) => test.result().state === state).length;
    writeFileSync(file, JSON.stringify({ passed: count('passed'), failed: count('failed') + broken + unhandledErrors.length, skipped }));
  }
}
