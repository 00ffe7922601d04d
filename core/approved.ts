import { HearthlendError } from './contract/errors.ts';
import type { Handlers } from './contract/rpc.ts';
import type { Sealed } from './contract/seal.ts';
import { contactSeen } from './contract/sending.ts';
import type { Sending } from './sending.ts';
import type { Wallet } from './wallet/wallet.ts';

type ApprovedCalls = Extract<keyof Handlers, `approved.${string}`>;

/**
 * What a page may have done with the wallet: each time with the password over what it has shown, so that whatever else has got into a page, or has
 * its token, gets nothing signed by a wallet that merely stands open.
 */
export function approvedHandlers({
  wallet,
  sending,
  identities,
}: {
  wallet: Pick<Wallet, 'status' | 'approve' | 'lock'>;
  sending: Pick<Sending, 'handlers'>;
  identities: Pick<Handlers, 'identity.sign'>;
}): Pick<Handlers, ApprovedCalls> {
  /** @throws WALLET_PASSWORD_WRONG, SEAL_INVALID for one that was used, TRANSACTION_REFUSED for one of something else */
  async function approved<T>(sealed: Sealed, seen: string, act: () => Promise<T>): Promise<T> {
    const { unlocked } = wallet.status();
    try {
      if ((await wallet.approve(sealed)) !== seen) {
        throw new HearthlendError('TRANSACTION_REFUSED', { detail: 'the password was typed for something else' });
      }
      return await act();
    } finally {
      // The password said yes to one thing; the wallet stays as it was.
      if (!unlocked) await wallet.lock();
    }
  }

  return {
    'approved.send': ({ sealed, ...confirmed }) => approved(sealed, confirmed.seen, () => sending.handlers['payments.send'](confirmed)),
    'approved.sign': ({ sealed, claim, seen }) => approved(sealed, seen, () => identities['identity.sign']({ claim, seen })),
    async 'approved.contact'({ sealed, change, contact }) {
      const { handlers } = sending;
      return approved(sealed, await contactSeen(change, contact), () =>
        change === 'put' ? handlers['payments.contact-put'](contact) : handlers['payments.contact-remove'](contact),
      );
    },
  };
}
