import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseSource } from '../../../core/models/adding/source.ts';
import { fitCatalogue, readCatalogue } from '../../../core/models/catalogue.ts';

const path = join(import.meta.dirname, '../../../resources/models/catalogue.json');

test('the catalogue that is shipped names models as model add takes them, each once', async () => {
  const models = await readCatalogue(path);
  expect(models.length).toBeGreaterThanOrEqual(6);
  expect(new Set(models.map(({ repository, file }) => `${repository}#${file}`)).size).toBe(models.length);
  for (const { repository, file } of models)
    expect(parseSource(`hf:${repository}#${file}`)).toMatchObject({ type: 'hub', repository, file });
});

test('models that a machine can hold come first, the others say what is missing', async () => {
  const models = await readCatalogue(path);
  const rows = fitCatalogue(models, { diskBytes: 300e6, memoryBytes: 1e9, backends: ['cpu'] });
  const fits = rows.filter(({ obstacle }) => obstacle === null);
  expect(rows.slice(0, fits.length)).toEqual(fits);
  expect(fits.every(({ diskBytes, memoryBytes }) => diskBytes <= 300e6 && memoryBytes <= 1e9)).toBe(true);
  expect(rows.find(({ name }) => name.startsWith('Phi'))?.obstacle).toBe('memory');
  expect(rows.find(({ name }) => name.startsWith('Llama'))?.obstacle).toBe('backend');
  expect(rows.find(({ name }) => name.startsWith('ViT'))?.obstacle).toBe('disk');
  expect(
    fitCatalogue(models, { diskBytes: null, memoryBytes: 1e12, backends: ['cpu', 'webgpu'] }).every(({ obstacle }) => obstacle === null),
  ).toBe(true);
});

test('a catalogue that is not there or is none is named', async () => {
  await expect(readCatalogue(`${path}.missing`)).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
  await expect(readCatalogue(import.meta.filename)).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
});
