using System;
using System.Collections.Generic;
using System.IO;
using System.Text.Json;
using System.Text.Json.Nodes;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Checkpoints;

/// <summary>
/// <c>config.json</c> of a Hugging Face checkpoint, as transformers 4 and 5 write it, with transformers' defaults where a field is absent. Properties
/// have the field's names and the family's meaning; what changes a model's output and cannot be done is refused by name. Dropout of pre-training is
/// not applied.
/// </summary>
public sealed partial record ModelConfig
{
    /// <summary>The file's name.</summary>
    public const string FileName = "config.json";

    private ModelConfig(string json) => Json = json;

    /// <summary>The file as it was read.</summary>
    public string Json { get; }

    /// <summary><c>llama</c>, <c>mistral</c>, <c>qwen2</c> (also Qwen1.5), <c>bert</c>, …: the family.</summary>
    public required string ModelType { get; init; }

    /// <summary>The class that saved it, such as <c>LlamaForSequenceClassification</c>; empty where the file names none.</summary>
    public required string Architecture { get; init; }

    /// <summary>Width H of the hidden states.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>Width inside the feed-forward block.</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>Layers.</summary>
    public required int NumHiddenLayers { get; init; }

    /// <summary>Query heads.</summary>
    public required int NumAttentionHeads { get; init; }

    /// <summary>Key and value heads; divides <see cref="NumAttentionHeads"/>.</summary>
    public required int NumKeyValueHeads { get; init; }

    /// <summary>Width D of a head.</summary>
    public required int HeadDim { get; init; }

    /// <summary>Rows of the word table.</summary>
    public required int VocabSize { get; init; }

    /// <summary>The longest sequence. Learned positions have a table of this many rows, after the first <see cref="PositionOffset"/>.</summary>
    public required int MaxPositionEmbeddings { get; init; }

    /// <summary>RoBERTa: the row of the position table that the first token gets, padding's id + 1; 0 for the others.</summary>
    public int PositionOffset { get; init; }

    /// <summary>ε of RMSNorm or LayerNorm, whichever the family has.</summary>
    public required double NormEps { get; init; }

    /// <summary>Activation of the feed-forward block.</summary>
    public required Activation HiddenAct { get; init; }

    /// <summary>Whether the feed-forward block has a gate: down(f(gate(x)) · up(x)).</summary>
    public required bool IsGated { get; init; }

    /// <summary>Elements of a head that are rotated; 0 where positions are not rotary.</summary>
    public int RotaryDim { get; init; }

    /// <summary>Base of the rotary frequencies; 0 where positions are not rotary.</summary>
    public required double RopeTheta { get; init; }

    /// <summary>The base in layers with a window: ModernBERT has another there.</summary>
    public double LocalRopeTheta { get; init; }

    /// <summary>Scaling of the rotary frequencies, if any.</summary>
    public RopeScaling? RopeScaling { get; init; }

    /// <summary>Per layer, how many keys a query sees to each side that it sees, itself included; 0 for all.</summary>
    public required IReadOnlyList<int> SlidingWindows { get; init; }

    /// <summary>Whether a token sees only what is before it; false for encoders.</summary>
    public required bool IsCausal { get; init; }

    /// <summary>Whether q, k, v and o projections have biases, where the family leaves it open.</summary>
    public bool AttentionBias { get; init; }

    /// <summary>Whether gate, up and down projections have biases, where the family leaves it open.</summary>
    public bool MlpBias { get; init; }

    /// <summary>ModernBERT: whether LayerNorms have biases.</summary>
    public bool NormBias { get; init; }

    /// <summary>Factor on q·k.</summary>
    public required double AttentionScale { get; init; }

    /// <summary>Gemma 2: attention logits become cap · tanh(logit / cap); 0 for none.</summary>
    public double LogitSoftCap { get; init; }

    /// <summary>T5: rows of the table of relative positions; 0 for the others.</summary>
    public int RelativeBuckets { get; init; }

    /// <summary>T5: distances from here on share a bucket.</summary>
    public int RelativeMaxDistance { get; init; }

    /// <summary>Whether the language-model head is the word table.</summary>
    public required bool TieWordEmbeddings { get; init; }

    /// <summary>Rows of BERT's segment table; 0 where there is none.</summary>
    public int TypeVocabSize { get; init; }

    /// <summary>Id of padding, if named.</summary>
    public int? PadTokenId { get; init; }

    /// <summary>Id of the beginning of a sequence, if named.</summary>
    public int? BosTokenId { get; init; }

    /// <summary>Id of the end of a sequence; the first where the file lists several.</summary>
    public int? EosTokenId { get; init; }

    /// <summary>Outputs of a classification head.</summary>
    public required int NumLabels { get; init; }

    /// <summary>Encoders: which hidden state a classification head takes.</summary>
    public Pooling ClassifierPooling { get; init; } = Pooling.Cls;

    /// <summary>ModernBERT: the activation of its classification head.</summary>
    public Activation ClassifierActivation { get; init; } = Activation.GeluErf;

    /// <summary>ModernBERT: whether the dense map of its classification head has a bias.</summary>
    public bool ClassifierBias { get; init; }

    /// <summary>Standard deviation of fresh weights.</summary>
    public required double InitializerRange { get; init; }

    /// <summary>Fields that this program does not know; they are not applied, and whoever loads the model should say so.</summary>
    public required IReadOnlyList<string> UnknownFields { get; init; }

    /// <summary>Whether the checkpoint has a sequence-classification head: a reranker.</summary>
    public bool IsSequenceClassification => Architecture.EndsWith("ForSequenceClassification", StringComparison.Ordinal);

    /// <summary>Reads <c>config.json</c> of <paramref name="folder"/>.</summary>
    /// <exception cref="InputException">The folder or file is missing, damaged, of an unknown family, or asks for something that cannot be
    /// done.</exception>
    public static ModelConfig Load(string folder)
    {
        if (!Directory.Exists(folder))
            throw new InputException($"{folder}: no such folder; name a folder with {FileName} and {Checkpoint.SingleFile}");
        string path = Path.Combine(folder, FileName);
        return Parse(JsonFields.ReadBytes(path), path);
    }

    /// <summary>Reads the text of a <c>config.json</c>; messages call it <paramref name="where"/>.</summary>
    public static ModelConfig Parse(ReadOnlySpan<byte> json, string where) => Read(JsonFields.Parse(json, where));

    /// <summary>The configuration of the same backbone with a head of one label, saved by the class <paramref name="architecture"/>.</summary>
    public ModelConfig AsReranker(string architecture)
    {
        JsonObject root = JsonNode.Parse(Json)!.AsObject();
        root["architectures"] = new JsonArray(architecture);
        root["id2label"] = new JsonObject { ["0"] = "LABEL_0" };
        root["label2id"] = new JsonObject { ["LABEL_0"] = 0 };
        root.Remove("num_labels");
        return Parse(System.Text.Encoding.UTF8.GetBytes(root.ToJsonString()), FileName);
    }

    /// <summary>
    /// The text of a <c>config.json</c> for the same model with weights stored as <paramref name="dtype"/>, saved by the class
    /// <paramref name="architecture"/> (null: as before). Where the file names no padding it gets <paramref name="padTokenId"/>, without which transformers takes
    /// one sequence at a time. Every other field is as it was read.
    /// </summary>
    public string ToJson(DType dtype, string? architecture = null, int? padTokenId = null)
    {
        JsonObject root = JsonNode.Parse(Json)!.AsObject();
        // transformers reads "torch_dtype" in every version; "dtype" since 4.56.
        string key = root.ContainsKey("dtype") ? "dtype" : "torch_dtype";
        root[key] = dtype switch
        {
            DType.F32 => "float32",
            DType.F16 => "float16",
            DType.BF16 => "bfloat16",
            _ => throw new ArgumentOutOfRangeException(nameof(dtype)),
        };
        if (PadTokenId is null && padTokenId is not null) root["pad_token_id"] = padTokenId;
        if (architecture is not null) root["architectures"] = new JsonArray(architecture);
        return root.ToJsonString(new JsonSerializerOptions { WriteIndented = true }) + "\n";
    }
}
