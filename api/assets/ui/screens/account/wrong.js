// A wrong password stands at the field it was written in.
import { byField } from '../../parts/field.js';

/**
 * The errors by field; that of a wrong password under the name of its field.
 * @returns {Record<string, string>}
 */
export const errorsOf = (problem, field) => ({ ...byField(problem), ...(problem?.code === 'wrong_password' ? { [field]: problem.detail } : {}) });
