import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { findDecoder } from '../../../core/models/decoder-folder.ts';

async function folderWith(...files: string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'hearthlend-decoder-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (const file of files) {
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await writeFile(join(folder, file), '');
  }
  return folder;
}

test.each<[string, string[], string]>([
  ["Optimum's layout", ['config.json', 'onnx/model.onnx', 'onnx/model_q4.onnx'], 'onnx/model.onnx'],
  ["onnxruntime-genai's layout", ['config.json', 'model.onnx', 'model.onnx.data'], 'model.onnx'],
  ['one graph of another name', ['config.json', 'onnx/model_q4f16.onnx'], 'onnx/model_q4f16.onnx'],
])('a folder in %s names its graph', async (_layout, files, expected) => {
  const folder = await folderWith(...files);
  expect(await findDecoder(folder)).toEqual({ modelPath: join(folder, expected), folder });
});

test('a graph finds its configuration beside it or one folder up', async () => {
  const above = await folderWith('config.json', 'onnx/model_q4.onnx');
  expect(await findDecoder(join(above, 'onnx/model_q4.onnx'))).toEqual({ modelPath: join(above, 'onnx/model_q4.onnx'), folder: above });
  const beside = await folderWith('config.json', 'model.onnx');
  expect(await findDecoder(join(beside, 'model.onnx'))).toEqual({ modelPath: join(beside, 'model.onnx'), folder: beside });
  const genai = await folderWith('genai_config.json', 'model.onnx');
  expect(await findDecoder(join(genai, 'model.onnx'))).toEqual({ modelPath: join(genai, 'model.onnx'), folder: genai });
});

test('of several graphs none is guessed, and what is not there is said', async () => {
  const several = await folderWith('config.json', 'onnx/model_fp16.onnx', 'onnx/model_q4.onnx');
  await expect(findDecoder(several)).rejects.toMatchObject({
    code: 'MODEL_NOT_NAMED',
    params: { path: several, names: [join('onnx', 'model_fp16.onnx'), join('onnx', 'model_q4.onnx')].join(', ') },
  });
  const empty = await folderWith('config.json');
  await expect(findDecoder(empty)).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND', params: { path: empty } });
  await expect(findDecoder(join(empty, 'nowhere'))).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
  await expect(findDecoder(join(empty, 'config.json', 'below'))).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
});
