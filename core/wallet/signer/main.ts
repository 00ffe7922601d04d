import { meaningOf } from './meaning.ts';
import { runSigner } from './run.ts';

/** The signer of the wallet. */
await runSigner(meaningOf);
