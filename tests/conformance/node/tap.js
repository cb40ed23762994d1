// Runs cases [name, async function] and prints a line each. Arguments: parts of names of the cases to run;
// those that make the vault always run.
'use strict';

module.exports = async function run(making, cases) {
    const wanted = process.argv.slice(2);
    let failed = 0;
    for (const [name, test] of making.concat(cases)) {
        const chosen = wanted.length === 0 || wanted.some((part) => name.includes(part));
        if (!chosen && !making.some((row) => row[0] === name)) continue;
        try {
            await test();
            console.log(`ok - ${name}`);
        } catch (error) {
            failed += 1;
            const said = String(error.message).replace(/\s+/g, ' ');
            if (process.env.KT_STACK) console.log(error.stack);
            console.log(`not ok - ${name}: expected no error, got ${said}; alone: ${process.env.KT_PROGRAM} '${name}'`);
        }
    }
    process.exitCode = failed === 0 ? 0 : 1;
};
