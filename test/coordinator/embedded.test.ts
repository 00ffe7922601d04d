import { describeNetwork } from './network-contract.ts';

describeNetwork('the embedded coordinator', (bench, options) => bench.open(options));
