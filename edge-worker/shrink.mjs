// Makes the built module smaller: node shrink.mjs <module>
//
// Comes last, and is not left to worker-build, which would keep the names of all functions: a fifth of the module.

import binaryen from "binaryen";
import { readFileSync, writeFileSync } from "node:fs";

// Exported by the `worker` crate for whoever makes such an object. This Worker makes none.
const UNUSED = /containerstartupoptions|minifyconfig|r2range|intounderlying(byte)?(source|sink)/;
// Named one by one: with all of them, binaryen writes what workerd does not read.
const FEATURES = [
  "MutableGlobals", "SignExt", "NontrappingFPToInt", "BulkMemory", "BulkMemoryOpt", "Multivalue", "ReferenceTypes",
  "CallIndirectOverlong", "ExceptionHandling",
].reduce((all, name) => all | binaryen.Features[name], 0);

const path = process.argv[2];
const module = binaryen.readBinary(readFileSync(path));
module.setFeatures(FEATURES);
const exported = Array.from({ length: module.getNumExports() }, (_, n) => {
  return binaryen.getExportInfo(module.getExportByIndex(n)).name;
});
exported.filter((name) => UNUSED.test(name)).forEach((name) => module.removeExport(name));

binaryen.setOptimizeLevel(2);
binaryen.setShrinkLevel(2);
module.runPasses(["strip-debug", "strip-producers"]);
module.optimize();
module.optimize();
const bytes = module.emitBinary();
writeFileSync(path, bytes);
console.log(`${path}: ${bytes.length} bytes`);
