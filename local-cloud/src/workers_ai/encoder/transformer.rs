//! The BERT family of encoders, as far as two sentence encoders need it: BERT itself (absolute
//! positions and token types) and MPNet (absolute positions and a relative bias shared by all layers).
//!
//! Source: the reference implementations in `transformers` (`modeling_bert.py`, `modeling_mpnet.py`).

use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::{Embedding, LayerNorm, Linear, Module, VarBuilder, ops::softmax_last_dim};
use serde::Deserialize;

/// The architecture of the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Family {
    Bert,
    Mpnet,
}

/// `config.json` beside the weights.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Config {
    pub(super) model_type: Family,
    pub(super) vocab_size: usize,
    pub(super) hidden_size: usize,
    pub(super) num_hidden_layers: usize,
    pub(super) num_attention_heads: usize,
    pub(super) intermediate_size: usize,
    pub(super) max_position_embeddings: usize,
    pub(super) layer_norm_eps: f64,
    pub(super) pad_token_id: u32,
    /// BERT only.
    #[serde(default)]
    pub(super) type_vocab_size: usize,
    /// MPNet only.
    #[serde(default)]
    pub(super) relative_attention_num_buckets: usize,
}

struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    attention_output: Linear,
    attention_norm: LayerNorm,
    intermediate: Linear,
    output: Linear,
    output_norm: LayerNorm,
}

/// A loaded encoder. `f32`, on the CPU.
pub(super) struct Transformer {
    config: Config,
    words: Embedding,
    positions: Embedding,
    token_type: Option<Tensor>,
    embeddings_norm: LayerNorm,
    layers: Vec<Layer>,
    relative_bias: Option<Tensor>,
}

/// Distance beyond which all relative positions share MPNet's last bucket.
const MAX_DISTANCE: f32 = 128.0;

impl Transformer {
    pub(super) fn load(weights: &VarBuilder, config: Config) -> Result<Self> {
        let hidden = config.hidden_size;
        let norm = |vb: VarBuilder| candle_nn::layer_norm(hidden, config.layer_norm_eps, vb);
        let embeddings = weights.pp("embeddings");
        let words =
            candle_nn::embedding(config.vocab_size, hidden, embeddings.pp("word_embeddings"))?;
        let positions = candle_nn::embedding(
            config.max_position_embeddings,
            hidden,
            embeddings.pp("position_embeddings"),
        )?;
        let (token_type, relative_bias) = match config.model_type {
            Family::Bert => {
                let types = embeddings.pp("token_type_embeddings");
                let table = types.get((config.type_vocab_size, hidden), "weight")?;
                (Some(table.narrow(0, 0, 1)?), None)
            }
            Family::Mpnet => {
                let shape = (
                    config.relative_attention_num_buckets,
                    config.num_attention_heads,
                );
                let bias = weights
                    .pp("encoder.relative_attention_bias")
                    .get(shape, "weight")?;
                (None, Some(bias))
            }
        };
        let layers = (0..config.num_hidden_layers)
            .map(|at| Layer::load(&weights.pp("encoder.layer").pp(at), &config))
            .collect::<Result<_>>()?;
        let embeddings_norm = norm(embeddings.pp("LayerNorm"))?;
        Ok(Self {
            config,
            words,
            positions,
            token_type,
            embeddings_norm,
            layers,
            relative_bias,
        })
    }

    pub(super) fn hidden_size(&self) -> usize {
        self.config.hidden_size
    }

    /// Mean-pooled, length-normalised vectors of token sequences, in order. Every sequence has 1 to 512
    /// tokens; shorter ones are padded to the longest.
    pub(super) fn embed(&self, sequences: &[&[u32]]) -> Result<Vec<Vec<f32>>> {
        let device = &Device::Cpu;
        let (batch, longest) = (
            sequences.len(),
            sequences.iter().map(|s| s.len()).max().unwrap_or(0),
        );
        let mut ids = Vec::with_capacity(batch * longest);
        let mut mask = Vec::with_capacity(batch * longest);
        for sequence in sequences {
            let padding = longest - sequence.len();
            ids.extend_from_slice(sequence);
            ids.extend(std::iter::repeat_n(self.config.pad_token_id, padding));
            mask.extend(std::iter::repeat_n(1f32, sequence.len()));
            mask.extend(std::iter::repeat_n(0f32, padding));
        }
        let padded = mask.contains(&0.0);
        let ids = Tensor::from_vec(ids, (batch, longest), device)?;
        let mask = Tensor::from_vec(mask, (batch, longest), device)?;

        let bias = self.attention_bias(longest, padded.then_some(&mask))?;
        let mut states = self.embeddings(&ids, longest)?;
        for layer in &self.layers {
            states = layer.forward(&states, bias.as_ref(), self.config.num_attention_heads)?;
        }
        let weights = mask.unsqueeze(2)?;
        let sums = states.broadcast_mul(&weights)?.sum(1)?;
        let means = sums.broadcast_div(&mask.sum_keepdim(1)?)?;
        let lengths = means.sqr()?.sum_keepdim(1)?.sqrt()?;
        means.broadcast_div(&lengths)?.to_vec2()
    }

    fn embeddings(&self, ids: &Tensor, longest: usize) -> Result<Tensor> {
        // MPNet counts positions from behind its padding id, so that padding has a position of its own.
        let first = match self.config.model_type {
            Family::Bert => 0,
            Family::Mpnet => self.config.pad_token_id + 1,
        };
        let positions = Tensor::arange(first, first + longest as u32, ids.device())?;
        let mut sum = self
            .words
            .forward(ids)?
            .broadcast_add(&self.positions.forward(&positions)?)?;
        if let Some(token_type) = &self.token_type {
            sum = sum.broadcast_add(token_type)?;
        }
        self.embeddings_norm.forward(&sum)
    }

    /// What is added to the attention scores: relative positions, and minus infinity at padding.
    fn attention_bias(&self, longest: usize, mask: Option<&Tensor>) -> Result<Option<Tensor>> {
        let relative = match &self.relative_bias {
            None => None,
            Some(table) => {
                let buckets = relative_buckets(longest, self.config.relative_attention_num_buckets);
                let buckets = Tensor::from_vec(buckets, longest * longest, &Device::Cpu)?;
                let heads = table.index_select(&buckets, 0)?.t()?.contiguous()?;
                Some(heads.reshape((1, self.config.num_attention_heads, longest, longest))?)
            }
        };
        let Some(mask) = mask else {
            return Ok(relative);
        };
        // Finite, so that a row of padding alone yields numbers and not NaN.
        let hidden = ((mask - 1.0)? * 1e9)?.unsqueeze(1)?.unsqueeze(1)?;
        match relative {
            None => Ok(Some(hidden)),
            Some(relative) => Ok(Some(relative.broadcast_add(&hidden)?)),
        }
    }
}

impl Layer {
    fn load(weights: &VarBuilder, config: &Config) -> Result<Self> {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let names = match config.model_type {
            Family::Bert => ["self.query", "self.key", "self.value", "output.dense"],
            Family::Mpnet => ["attn.q", "attn.k", "attn.v", "attn.o"],
        };
        let norm_name = match config.model_type {
            Family::Bert => "output.LayerNorm",
            Family::Mpnet => "LayerNorm",
        };
        let attention = weights.pp("attention");
        let square = |name: &str| candle_nn::linear(hidden, hidden, attention.pp(name));
        let norm = |vb: VarBuilder| candle_nn::layer_norm(hidden, config.layer_norm_eps, vb);
        Ok(Self {
            query: square(names[0])?,
            key: square(names[1])?,
            value: square(names[2])?,
            attention_output: square(names[3])?,
            attention_norm: norm(attention.pp(norm_name))?,
            intermediate: candle_nn::linear(hidden, inner, weights.pp("intermediate.dense"))?,
            output: candle_nn::linear(inner, hidden, weights.pp("output.dense"))?,
            output_norm: norm(weights.pp("output.LayerNorm"))?,
        })
    }

    fn forward(&self, states: &Tensor, bias: Option<&Tensor>, heads: usize) -> Result<Tensor> {
        let (batch, longest, hidden) = states.dims3()?;
        let width = hidden / heads;
        let split = |projected: Tensor| {
            projected
                .reshape((batch, longest, heads, width))?
                .transpose(1, 2)?
                .contiguous()
        };
        let query = split((self.query.forward(states)? / (width as f64).sqrt())?)?;
        let key = split(self.key.forward(states)?)?;
        let value = split(self.value.forward(states)?)?;
        let mut scores = query.matmul(&key.transpose(D::Minus2, D::Minus1)?)?;
        if let Some(bias) = bias {
            scores = scores.broadcast_add(bias)?;
        }
        let mixed = softmax_last_dim(&scores)?.matmul(&value)?;
        let mixed = mixed
            .transpose(1, 2)?
            .contiguous()?
            .reshape((batch, longest, hidden))?;
        let attended = self
            .attention_norm
            .forward(&(self.attention_output.forward(&mixed)? + states)?)?;
        let inner = self.intermediate.forward(&attended)?.gelu_erf()?;
        self.output_norm
            .forward(&(self.output.forward(&inner)? + &attended)?)
    }
}

/// T5's bidirectional buckets for every pair of positions, row by row.
fn relative_buckets(longest: usize, buckets: usize) -> Vec<u32> {
    let half = buckets / 2;
    let exact = half / 2;
    let bucket = |distance: usize| {
        if distance < exact {
            return distance;
        }
        let scale = (distance as f32 / exact as f32).ln() / (MAX_DISTANCE / exact as f32).ln();
        (exact + (scale * (half - exact) as f32) as usize).min(half - 1)
    };
    let pair = |row: usize, column: usize| {
        let later = if column > row { half } else { 0 };
        (later + bucket(row.abs_diff(column))) as u32
    };
    (0..longest)
        .flat_map(|row| (0..longest).map(move |column| (row, column)))
        .map(|(r, c)| pair(r, c))
        .collect()
}

/// Reads all tensors of a `.safetensors` file.
pub(super) fn read_weights(path: &std::path::Path) -> Result<VarBuilder<'static>> {
    let tensors = candle_core::safetensors::load(path, &Device::Cpu)?;
    Ok(VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu))
}

#[cfg(test)]
mod tests {
    use super::relative_buckets;

    #[test]
    fn near_distances_have_a_bucket_each_and_far_ones_share() {
        let row = &relative_buckets(200, 32)[..200];
        assert_eq!(row[..9], [0, 17, 18, 19, 20, 21, 22, 23, 24]);
        assert_eq!(row[16], 26);
        assert_eq!(row[127], 31);
        assert_eq!(row[199], 31);
    }
}
