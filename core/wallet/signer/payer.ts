import { payerMeaningOf } from './payer-meaning.ts';
import { runSigner } from './run.ts';

/** The signer of the key that a network's operator pays from: it knows the acts of a payer on its escrow, and nothing of a wallet's. */
await runSigner(payerMeaningOf);
