// T18: below any path of a proxy, with no setting, everything of T1, T2 and T3 holds; T1 and T3 also by plain http in a local network.
import { PLAIN, PLAIN_HOST, world } from './harness.mjs';
import { stopping, wholeAnswers } from './answers.mjs';
import { nothingIsLost } from './sessions.mjs';

const it = world(PLAIN);
const prefix = '/any/prefix/';
wholeAnswers(it, { prefix });
nothingIsLost(it, prefix);
stopping(it, { prefix });
wholeAnswers(it, { host: PLAIN_HOST });
stopping(it, { host: PLAIN_HOST });
