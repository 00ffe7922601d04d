// Adds a model in a process of its own, for tests that kill it. Arguments: the store's folder, the hub's address, the model. Says on stdout how
// many bytes are here, and `done`.
import { addModel } from '../../core/models/adding/add.ts';
import { createModelStore } from '../../core/models/store.ts';

const [dir = '', endpoint = '', source = ''] = process.argv.slice(2);
const { owned } = await createModelStore({ dir, diskBytes: 1 << 30 });
const request = { source, file: null, pin: null, acceptMissingLicence: false, hub: { endpoint, token: null, proxy: {} } };
await addModel(request, {
  store: owned,
  clock: Date.now,
  signal: new AbortController().signal,
  onProgress: ({ bytes }) => process.stdout.write(`${bytes}\n`),
});
process.stdout.write('done\n');
