import type { Rules } from '../contract/rules.ts';
import maintained from './programs.json' with { type: 'json' };

/** By what a program's file is looked up: without folder, letter case and `.exe`. Wine names its programs with a Windows path. */
export function programKey(file: string): string {
  const name = file.slice(Math.max(file.lastIndexOf('/'), file.lastIndexOf('\\')) + 1);
  return name
    .trim()
    .toLowerCase()
    .replace(/\.exe$/, '');
}

const MAINTAINED = new Map(
  Object.values(maintained as Record<string, Record<string, string>>).flatMap((list) =>
    Object.entries(list).map(([file, name]) => [programKey(file), name] as const),
  ),
);

/** The programs before which work yields: by their key the name that people read. */
export function watchedPrograms({ added, removed }: Rules['programs']): ReadonlyMap<string, string> {
  const programs = new Map(MAINTAINED);
  for (const file of removed) programs.delete(programKey(file));
  for (const file of added) programs.set(programKey(file), file.trim().replace(/\.exe$/i, ''));
  return programs;
}
