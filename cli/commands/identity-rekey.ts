import type { AgreedClaim } from '../../core/contract/identity.ts';
import { message } from '../../core/contract/messages.ts';
import { withAgent } from '../agent/reach.ts';
import type { Context, ExitCode } from './command.ts';
import { confirm, type SigningOptions, shownByWallet, signedElsewhere, statusLines, whileUnlocked, writeToSign } from './identity.ts';

/** Puts a new worker key in the place of the old one. A wallet that had signed for the old one signs for the new one first. */
export async function runIdentityRekey(context: Context, days: number, options: SigningOptions): Promise<ExitCode> {
  const { world, terminal, dataDir } = context;
  return withAgent({ world, dataDir }, async (reach) => {
    const { client } = reach;
    const { from, to, claims } = await client.call('identity.rekey-plan', { days });
    if (options.out !== null) {
      // That the old one earns no more needs no word of a wallet elsewhere: networks shut it out.
      for (const claim of claims) if (claim.kind === 'delegation') writeToSign(context, options.out, claim);
      return;
    }
    terminal.text(message('cli.identity.rekey-means', { from, to }));
    const rekey = async (agreed: AgreedClaim[]) => {
      await confirm(context, options.yes);
      return client.call('identity.rekey', { agreed });
    };
    const here = async () => {
      const agreed: AgreedClaim[] = [];
      for (const claim of claims) agreed.push({ claim, seen: await shownByWallet(context, reach, claim) });
      return rekey(agreed);
    };
    const status =
      options.signed !== null
        ? await rekey([signedElsewhere(context, options.signed, 'delegation')])
        : await (claims.length === 0 ? rekey([]) : whileUnlocked(context, reach, options, here));
    terminal.emit({ event: 'identity', ...status });
    terminal.text(message('cli.identity.rekeyed', { from }));
    for (const line of statusLines(status)) terminal.text(line);
  });
}
