import { isBuiltin } from 'node:module';
import { posix } from 'node:path';
import { type Node, parseSync, visitorKeys } from 'oxc-parser';

/** Every place in a source file that names another module: imports and re-exports of values and types, `import()`, `require()`,
 * and `new URL('./file.ts', import.meta.url)`, with which workers are started. `undefined` stands for one computed at run time. */
export function importsOf(file: string, text: string): Array<string | undefined> {
  const { program, errors } = parseSync(file, text);
  if (errors[0] !== undefined) throw new Error(`${file}: ${errors[0].message}`);
  const found: Array<string | undefined> = [];
  const visit = (node: Node): void => {
    switch (node.type) {
      case 'ImportDeclaration':
      case 'ExportAllDeclaration':
        found.push(node.source.value);
        break;
      case 'ExportNamedDeclaration':
        if (node.source !== null) found.push(node.source.value);
        break;
      case 'ImportExpression':
      case 'TSImportType':
        found.push(literal(node.source));
        break;
      case 'TSExternalModuleReference':
        found.push(literal(node.expression));
        break;
      case 'CallExpression':
        if (node.callee.type === 'Identifier' && node.callee.name === 'require') found.push(literal(node.arguments[0]));
        break;
      case 'NewExpression': {
        if (node.callee.type !== 'Identifier' || node.callee.name !== 'URL') break;
        const target = literal(node.arguments[0]);
        if (target?.startsWith('.') && /\.[cm]?[jt]sx?$/.test(target)) found.push(target);
        break;
      }
    }
    for (const key of visitorKeys[node.type] ?? []) {
      const child = (node as unknown as Record<string, unknown>)[key];
      for (const each of Array.isArray(child) ? child : [child]) if (isNode(each)) visit(each);
    }
  };
  visit(program);
  return found;
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value;
}

function literal(node: Node | undefined | null): string | undefined {
  if (node?.type === 'Literal' && typeof node.value === 'string') return node.value;
  if (node?.type === 'TemplateLiteral' && node.expressions.length === 0) return node.quasis[0]?.value.cooked ?? undefined;
  return undefined;
}

/** The rooms that each room may import from, beside itself. Inside core, `forbiddenArrow` is stricter. */
const arrows: Record<string, readonly string[]> = {
  electron: ['core', 'coordinator', 'resources'],
  cli: ['core', 'coordinator', 'resources'],
  core: ['resources'],
  coordinator: ['core/contract', 'resources'],
  worker: ['core/contract'],
  renderer: ['core/contract'],
};

/** Packages that belong to one room. */
const packageRooms: Record<string, string> = { electron: 'electron', react: 'renderer', 'react-dom': 'renderer' };

/** The launcher finds what it starts at run time. */
const launcher = /^cli\/[^/]+\.mjs$/;

/**
 * Why the file `from` (a path from the project's root, with `/`) may not import `specifier`, or undefined when it may.
 * `undefined` as specifier is an import whose target is computed.
 */
export function forbiddenArrow(from: string, specifier: string | undefined): string | undefined {
  const room = roomOf(from);
  const allowed = arrows[room];
  if (allowed === undefined) return `${room} is not a room that has arrows`;
  if (specifier === undefined) return launcher.test(from) ? undefined : 'an import must name its target';
  const pureRoom = isWithin(from, 'core/contract') || isWithin(from, 'renderer') || isWithin(from, 'worker/webgpu');
  if (isBuiltin(specifier)) return pureRoom ? `${specifier} exists in Node alone, and this runs in a page too` : undefined;
  if (!specifier.startsWith('.')) return forbiddenPackage(room, specifier);

  const target = posix.join(posix.dirname(from), specifier);
  const targetRoom = roomOf(target);
  if (room === 'core') {
    const feature = featureOf(from);
    const targetFeature = featureOf(target);
    if (isWithin(target, 'resources/locales')) return feature === 'contract' ? undefined : 'words are read through core/contract alone';
    if (feature === 'contract') return isWithin(target, 'core/contract') ? undefined : 'core/contract imports nothing else of ours';
    if (targetRoom === 'resources') return undefined;
    if (targetRoom !== 'core') return `core imports nothing of ${targetRoom}`;
    if (feature === undefined || targetFeature === 'contract' || targetFeature === feature) return undefined;
    return `core/${feature} imports core/contract and its own files alone; features meet in core/app.ts`;
  }
  if (targetRoom === room) return undefined;
  if (isWithin(target, 'resources/locales')) return 'words are read through core/contract alone';
  return allowed.some((folder) => isWithin(target, folder))
    ? undefined
    : `${room} imports nothing of ${targetRoom} but ${allowed.join(', ')}`;
}

function forbiddenPackage(room: string, specifier: string): string | undefined {
  if (/^(\/|#|[a-z]+:|hearthlend(\/|$))/.test(specifier)) return 'our own files are imported by relative paths';
  const name = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
  const owner = packageRooms[name];
  return owner === undefined || owner === room ? undefined : `the package ${name} belongs to ${owner}`;
}

function roomOf(path: string): string {
  return path.split('/')[0] ?? '';
}

/** The feature's folder inside core; undefined for files directly in core, where features meet. */
function featureOf(path: string): string | undefined {
  const parts = path.split('/');
  return parts.length > 2 ? parts[1] : undefined;
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}
