import { encode } from 'uqr';
import { message } from '../../core/contract/messages.ts';

/** Modules of quiet around it. Source: ISO/IEC 18004, which asks for four. */
const QUIET = 4;

/** An address for another device's camera: dark on light in both themes, as cameras want it. */
export function Qr({ address }: { address: string }): React.ReactNode {
  const { data, size } = encode(address, { ecc: 'M', border: 0 });
  const path = data.flatMap((row, y) => row.flatMap((dark, x) => (dark ? [`M${x + QUIET} ${y + QUIET}h1v1h-1z`] : []))).join('');
  const side = size + 2 * QUIET;
  return (
    <svg
      className="qr"
      viewBox={`0 0 ${side} ${side}`}
      role="img"
      aria-label={message('screen.wallet.qr', { address })}
      shapeRendering="crispEdges"
    >
      <path d={path} />
    </svg>
  );
}
