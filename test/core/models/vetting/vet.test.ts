import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { canonicalJson } from '../../../../core/contract/digest.ts';
import { HearthlendError } from '../../../../core/contract/errors.ts';
import { describeError } from '../../../../core/contract/messages.ts';
import type { ModelManifest } from '../../../../core/contract/model.ts';
import type { Shard } from '../../../../core/contract/shard.ts';
import { describeModel } from '../../../../core/models/describe.ts';
import { modelDigest } from '../../../../core/models/digest.ts';
import type { Room } from '../../../../core/models/vetting/judge.ts';
import { createVet } from '../../../../core/models/vetting/vet.ts';
import { SMALL } from '../../../fixtures/decoder/decoder-shape.ts';
import { makeDecoder } from '../../../fixtures/decoder/make-decoder.ts';
import { modelCases } from '../../../fixtures/onnx-models.ts';
import {
  type Bytes,
  bytes,
  concat,
  ELEMENT,
  externalTensor,
  graph,
  graphAttribute,
  int,
  model,
  node,
  tensor,
  tensorAttribute,
  tensorType,
  text,
  value,
} from '../onnx-file.ts';

const ROOM: Room = { limitBytes: 2 ** 32, freeBytes: null };
const inputs = [value('x', tensorType(ELEMENT.float32, [2]))];
const outputs = [value('y', tensorType(ELEMENT.float32, [2]))];
const add = (w: Bytes) => model(graph({ nodes: [node('Add', ['x', 'w'], ['y'])], initializers: [w], inputs, outputs }));
/** A node of a domain, and one with a name. */
const foreign = (type: string, domain: string) => concat(node(type, ['x'], ['y']), text(7, domain));
const named = (type: string, name: string, ...attributes: Bytes[]) => concat(text(3, name), node(type, ['x'], ['y'], ...attributes));
const functionOf = (name: string, ...nodes: Bytes[]) => bytes(25, text(1, name), ...nodes.map((each) => bytes(7, each)), text(10, 'own'));
const simple = (...nodes: Bytes[]) => graph({ nodes, inputs, outputs });

/** A model of these files, as the store hands it over. */
function stored(files: Record<string, Uint8Array>, entry = 'model.onnx') {
  const folder = mkdtempSync(join(tmpdir(), 'hearthlend-vet-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const listed: ModelManifest['files'] = Object.entries(files).map(([path, content]) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
    return { path, bytes: content.byteLength, digest: createHash('sha256').update(content).digest('hex') };
  });
  const manifest: ModelManifest = { format: 'onnx', entry, files: listed };
  const digest = createHash('sha256').update(canonicalJson(manifest)).digest('hex');
  return { digest, manifest, files: new Map(Object.keys(files).map((path) => [path, join(folder, path)])) };
}

/** What a model is refused for; null where it may be loaded. Every refusal has its words. */
async function refusal(files: Record<string, Uint8Array> | Bytes, options: { origin?: Shard['origin']; room?: Room; entry?: string } = {}) {
  const given = files instanceof Uint8Array ? { 'model.onnx': files } : files;
  try {
    await createVet()(stored(given, options.entry), options.origin ?? 'network', options.room ?? ROOM);
    return null;
  } catch (thrown) {
    if (!(thrown instanceof HearthlendError)) throw thrown;
    expect(describeError(thrown).what).not.toContain('undefined');
    return { code: thrown.code, ...thrown.params };
  }
}

test.each(modelCases().map(({ name, files }) => [name, files] as const))(
  'an honest model may be loaded, a stranger’s too: %s',
  async (_name, files) => {
    expect(await refusal(files)).toBeNull();
  },
);

test('decoders as they are published, with ONNX Runtime’s own attention and weights of 4 bits, may be a stranger’s', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'hearthlend-vet-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  makeDecoder(folder, SMALL);
  const path = readdirSync(folder, { recursive: true, encoding: 'utf8' }).find((name) => name.endsWith('.onnx')) as string;
  const { manifest, files } = await describeModel(join(folder, path));
  await createVet()({ digest: modelDigest(manifest), manifest, files }, 'network', ROOM);
});

test('the practice model holds to strangers’ rules', async () => {
  const path = join(import.meta.dirname, '../../../../resources/models/wordnet-lm/onnx/model.onnx');
  expect(await refusal({ 'onnx/model.onnx': readFileSync(path) }, { entry: 'onnx/model.onnx', origin: 'practice' })).toBeNull();
});

test.each([
  ['an operator of nobody’s domain', foreign('Evil', 'com.example'), 'com.example::Evil'],
  ['an operator that com.microsoft does not have', foreign('NoSuchThing', 'com.microsoft'), 'com.microsoft::NoSuchThing'],
  ['a program for another runtime', foreign('EPContext', 'com.microsoft'), 'com.microsoft::EPContext'],
  ['an operator of ONNX Runtime’s insides', foreign('Conv', 'com.microsoft.nchwc'), 'com.microsoft.nchwc::Conv'],
  ['training', foreign('Adam', 'ai.onnx.preview.training'), 'ai.onnx.preview.training::Adam'],
])('a stranger’s model with %s is refused by name, the owner’s is left to ONNX Runtime', async (_name, content, operator) => {
  expect(await refusal(model(simple(content)))).toMatchObject({ code: 'MODEL_OPERATOR_REFUSED', operator });
  expect(await refusal(model(simple(content)), { origin: 'own' })).toBeNull();
});

test('contrib operators, ONNX’s own domains under both spellings and functions of the model’s own are known', async () => {
  const nodes = [
    foreign('GroupQueryAttention', 'com.microsoft'),
    foreign('Relu', 'ai.onnx'),
    foreign('Scaler', 'ai.onnx.ml'),
    foreign('twice', 'own'),
  ];
  expect(await refusal(model(simple(...nodes), functionOf('twice', node('Neg', ['x'], ['y']))))).toBeNull();
});

test('a refusal says where: through graphs, by names or numbers', async () => {
  const inner = graph({ nodes: [node('Relu', ['x'], ['t']), foreign('Evil', 'com.example')] });
  const outer = graph({ nodes: [named('If', 'first', graphAttribute('then_branch', inner))] });
  const content = simple(node('Neg', ['x'], ['n']), concat(node('Loop', ['x'], ['y'], graphAttribute('body', outer))));
  expect(await refusal(model(content))).toMatchObject({ where: 'node 1 (Loop) › If "first" › node 1 (Evil)' });
  const inFunction = model(simple(foreign('f', 'own')), functionOf('f', foreign('Evil', 'com.example')));
  expect(await refusal(inFunction)).toMatchObject({ code: 'MODEL_OPERATOR_REFUSED', where: 'function "f" › node 0 (Evil)' });
});

test('names of a stranger’s come to the screen as plain, short text', async () => {
  const name = `\u001b]0;owned\u0007\n${'a'.repeat(4000)}`;
  const found = await refusal(model(simple(concat(text(3, name), foreign('Evil', 'com.example')))));
  expect(found).toMatchObject({ where: expect.stringMatching(/^Evil "�\]0;owned��a{40,}…"$/) });
});

test.each<[string, Bytes, RegExp]>([
  ['less data than its shape needs', tensor('w', [3], [1, 2]), /tensor "w"/],
  ['more data than its shape needs', tensor('w', [1], [1, 2]), /tensor "w"/],
  ['a shape of 4 TB', tensor('w', [2 ** 40], [1]), /tensor "w"/],
  ['no data at all', concat(int(1, 2), int(2, 1), text(8, 'w')), /tensor "w"/],
  ['its data twice', concat(tensor('w', [2], [1, 2]), bytes(4, new Uint8Array(8))), /tensor "w"/],
  ['too few packed numbers', concat(int(1, 100), int(2, 7), text(8, 'w'), bytes(7, Uint8Array.of(1, 2, 3))), /tensor "w"/],
  ['data of an external tensor inside', concat(externalTensor('w', [2], { location: 'data' }), bytes(9, new Uint8Array(8))), /tensor "w"/],
])('a constant with %s is refused, whoever it is from', async (_name, w, where) => {
  for (const origin of ['network', 'own', 'practice'] as const) {
    const found = await refusal({ 'model.onnx': add(w), data: new Uint8Array(64) }, { origin });
    expect(found).toMatchObject({ code: 'MODEL_SIZE_WRONG', where: expect.stringMatching(where) });
  }
});

test.each<[string, Bytes]>([
  ['a size that overflows', tensor('w', [2 ** 40, 2 ** 40, 2 ** 40], [1])],
  ['a negative size', concat(int(1, -4), tensor('w', [], [1]))],
  ['a type that there is not', concat(int(2, 99), text(8, 'w'), bytes(9, new Uint8Array(4)))],
  ['more dimensions than any', concat(...Array.from({ length: 65 }, () => int(1, 1)), tensor('w', [], [1]))],
])('a constant with %s is refused', async (_name, w) => {
  expect(await refusal(add(w))).toMatchObject({ code: 'MODEL_INVALID' });
});

test('honest packed and unpacked numbers, texts, and empty constants are none of that', async () => {
  const ok = [
    concat(
      bytes(1, Uint8Array.of(1, 3)),
      int(2, 7),
      text(8, 'a'),
      bytes(7, Uint8Array.of(1, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1)),
    ),
    concat(int(1, 2), int(2, 6), text(8, 'b'), int(5, 7), int(5, 8)),
    concat(int(1, 2), int(2, 8), text(8, 'c'), text(6, 'one'), text(6, 'two')),
    concat(int(1, 0), int(2, 1), text(8, 'd')),
    concat(int(1, 3), int(2, 22), text(8, 'e'), bytes(9, Uint8Array.of(1, 2))),
    concat(int(1, 1), int(2, 14), text(8, 'f'), bytes(4, new Uint8Array(8))),
    tensor('w', [2], [1, 2]),
  ];
  expect(await refusal(model(graph({ nodes: [node('Add', ['x', 'w'], ['y'])], initializers: ok, inputs, outputs })))).toBeNull();
});

test.each(['/etc/passwd', '../secret', 'a/../../secret', 'C:\\secret', '*/_ORT_MEM_ADDR_/x', './'])(
  'external data at %s is refused as outside',
  async (location) => {
    expect(await refusal({ 'model.onnx': add(externalTensor('w', [2], { location })), secret: new Uint8Array(8) })).toEqual({
      code: 'MODEL_PATH_UNSAFE',
      path: location,
    });
  },
);

test('external data lies in a file of the manifest, beside the graph, and within its real bytes', async () => {
  const of = (entries: Record<string, string>, entry = 'onnx/model.onnx', data = 'onnx/data') =>
    refusal({ [entry]: add(externalTensor('w', [2], entries)), [data]: new Uint8Array(64) }, { entry });
  expect(await of({ location: 'data', offset: '56', length: '8' })).toBeNull();
  expect(await of({ location: './data' })).toBeNull();
  expect(await of({ location: 'data', offset: '57' })).toMatchObject({ code: 'MODEL_SIZE_WRONG', detail: expect.stringContaining('65') });
  expect(await of({ location: 'data', offset: '0', length: '9' })).toMatchObject({ code: 'MODEL_SIZE_WRONG' });
  expect(await of({ location: 'data', offset: '999999999999999' })).toMatchObject({ code: 'MODEL_SIZE_WRONG' });
  expect(await of({ location: 'data', offset: '-1' })).toMatchObject({ code: 'MODEL_INVALID' });
  expect(await of({ location: 'other' })).toEqual({ code: 'MODEL_DATA_MISSING', path: 'other' });
  // It lies in the manifest, and not where ONNX Runtime will look for it.
  expect(await of({ location: 'data' }, 'onnx/model.onnx', 'data')).toEqual({ code: 'MODEL_DATA_MISSING', path: 'data' });
});

test('graphs nested deeper than 32, also through functions, are refused', async () => {
  const nest = (levels: number): Bytes =>
    levels === 0
      ? graph({ nodes: [node('Neg', ['x'], ['y'])] })
      : graph({ nodes: [node('If', ['x'], ['y'], graphAttribute('then_branch', nest(levels - 1)))] });
  expect(await refusal(model(nest(32)))).toBeNull();
  expect(await refusal(model(nest(33)), { origin: 'own' })).toMatchObject({
    code: 'MODEL_INVALID',
    detail: expect.stringContaining('32 deep'),
  });
  const chain = Array.from({ length: 10 }, (_, at) =>
    functionOf(`f${at}`, node('If', ['x'], ['y'], graphAttribute('then_branch', graph({ nodes: [foreign(`f${at + 1}`, 'own')] })))),
  );
  const deep = (levels: number) =>
    model(simple(foreign('f0', 'own')), ...chain.slice(0, levels - 1), functionOf(`f${levels - 1}`, ...nestNodes(25)));
  const nestNodes = (levels: number) => [node('If', ['x'], ['y'], graphAttribute('then_branch', nest(levels - 1)))];
  expect(await refusal(deep(2))).toBeNull();
  expect(await refusal(deep(10))).toMatchObject({ code: 'MODEL_TOO_COMPLEX', detail: expect.stringContaining('32 deep') });
});

test('a function that calls itself, and functions that multiply, are refused, whoever they are from', async () => {
  const loop = model(simple(foreign('a', 'own')), functionOf('a', foreign('b', 'own')), functionOf('b', foreign('a', 'own')));
  expect(await refusal(loop, { origin: 'own' })).toEqual({
    code: 'MODEL_TOO_COMPLEX',
    detail: 'a function calls itself',
    where: 'function "a"',
  });
  const ten = (next: string) => Array.from({ length: 10 }, () => foreign(next, 'own'));
  const bomb = model(
    simple(foreign('f0', 'own')),
    ...Array.from({ length: 20 }, (_, at) => functionOf(`f${at}`, ...ten(`f${at + 1}`))),
    functionOf('f20', node('Neg', ['x'], ['y'])),
  );
  expect(await refusal(bomb, { origin: 'own' })).toMatchObject({
    code: 'MODEL_TOO_COMPLEX',
    detail: expect.stringContaining('1000000 nodes'),
  });
  const ladder = Array.from({ length: 40 }, (_, at) => functionOf(`f${at}`, foreign(`f${at + 1}`, 'own')));
  expect(await refusal(model(simple(foreign('f0', 'own')), ...ladder))).toMatchObject({ code: 'MODEL_TOO_COMPLEX' });
});

test('a file of nothing but empty functions is not read to its end', async () => {
  const many = Buffer.alloc(3 * 200_000, bytes(25));
  expect(await refusal(concat(model(simple()), many))).toMatchObject({
    code: 'MODEL_TOO_COMPLEX',
    detail: 'it has more than 100000 functions',
  });
});

test('what a model takes at least is compared with what may and what can be had', async () => {
  const shape = tensorType(ELEMENT.float32, [1024, 1024]);
  const content = model(
    concat(
      graph({
        nodes: [node('Add', ['x', 'w'], ['a']), node('Concat', ['a', 'x'], ['b']), node('Relu', ['b'], ['y'])],
        initializers: [tensor('w', [256], Array(256).fill(1))],
        inputs: [value('x', shape)],
        outputs: [value('y', shape)],
      }),
      bytes(13, value('a', shape)),
      bytes(13, value('b', tensorType(ELEMENT.float32, ['n', 1024]))),
    ),
  );
  // 1 KiB of weights; a and x, 4 MiB each, are there at once.
  const least = 1024 + 2 * 4 * 2 ** 20;
  expect(await refusal(content, { room: { limitBytes: least, freeBytes: least } })).toBeNull();
  expect(await refusal(content, { room: { limitBytes: least - 1, freeBytes: least } })).toEqual({
    code: 'MODEL_OVER_MEMORY',
    bytes: least,
    limitBytes: least - 1,
  });
  expect(await refusal(content, { origin: 'own', room: { limitBytes: least, freeBytes: least - 1 } })).toEqual({
    code: 'MODEL_OVER_FREE_MEMORY',
    bytes: least,
    freeBytes: least - 1,
  });
});

test('a sparse constant counts as large as it is spread out, and shared external data once', async () => {
  const sparse = concat(
    bytes(1, tensor('w', [1], [1])),
    bytes(2, concat(int(1, 1), int(2, 7), bytes(9, new Uint8Array(8)))),
    int(3, 100_000),
    int(3, 1_000_000),
  );
  const content = model(graph({ nodes: [node('Add', ['x', 'w'], ['y'])], sparse: [sparse], inputs, outputs }));
  expect(await refusal(content)).toMatchObject({ code: 'MODEL_OVER_MEMORY', bytes: 4e11 + 12 + 8 });
  const shared = (name: string) => externalTensor(name, [1024], { location: 'data', offset: '0', length: '4096' });
  const twice = model(graph({ nodes: [node('Add', ['v', 'w'], ['y'])], initializers: [shared('v'), shared('w')], inputs, outputs }));
  const room = { limitBytes: 4096 + 8, freeBytes: null };
  expect(await refusal({ 'model.onnx': twice, data: new Uint8Array(4096) }, { room })).toBeNull();
});

test('a constant of a node is looked at as those of the graph are', async () => {
  const content = simple(named('Constant', 'c', tensorAttribute('value', tensor('', [3], [1]))));
  expect(await refusal(model(content))).toMatchObject({ code: 'MODEL_SIZE_WRONG', where: 'Constant "c" › a tensor' });
});

test('a file that ONNX Runtime would read in its own format is refused, though it is a model, too', async () => {
  const whole = add(tensor('w', [2], [1, 2]));
  expect(await refusal({ 'model.ORT': whole }, { entry: 'model.ORT' })).toMatchObject({ code: 'MODEL_INVALID' });
  // A name of the producer's that has the format's four letters at their place.
  const two = concat(text(2, '..ORTM'), whole);
  expect(new TextDecoder().decode(two.subarray(4, 8))).toBe('ORTM');
  expect(await refusal(two)).toMatchObject({ code: 'MODEL_INVALID', detail: expect.stringContaining('own format') });
});

test('a model is read once, and judged anew each time', async () => {
  const vet = createVet();
  const given = stored({ 'model.onnx': model(simple(foreign('Evil', 'com.example'))) });
  await vet(given, 'own', ROOM);
  writeFileSync(given.files.get('model.onnx') as string, '');
  await vet(given, 'own', ROOM);
  await expect(vet(given, 'network', ROOM)).rejects.toMatchObject({ code: 'MODEL_OPERATOR_REFUSED' });
  await expect(vet(stored({ 'model.onnx': new Uint8Array(0) }), 'own', ROOM)).rejects.toMatchObject({ code: 'MODEL_INVALID' });
});

test('a file that can’t be read is no refusal of the model, and is read again', async () => {
  const vet = createVet();
  const given = stored({ 'model.onnx': add(tensor('w', [2], [1, 2])) });
  const path = given.files.get('model.onnx') as string;
  const content = readFileSync(path);
  rmSync(path);
  await expect(vet(given, 'network', ROOM)).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
  writeFileSync(path, content);
  await vet(given, 'network', ROOM);
});
