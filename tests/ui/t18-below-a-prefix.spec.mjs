// T18: below any path of a proxy, with no setting, everything of T1 and T3 holds.
import { world } from './harness.mjs';
import { stopping, wholeAnswers } from './answers.mjs';

const it = world();
wholeAnswers(it, '/any/prefix/');
stopping(it, '/any/prefix/');
