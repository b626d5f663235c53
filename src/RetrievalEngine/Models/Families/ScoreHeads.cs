using System;
using System.Collections.Generic;
using System.Linq;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Models.Families;

/// <summary>What the class <c>*ForSequenceClassification</c> of a family puts behind the backbone.</summary>
/// <param name="ClassPrefix">Its class is called this and <c>ForSequenceClassification</c>.</param>
/// <param name="BackbonePrefix">What that class stores the backbone's names under: <c>model.</c>, <c>bert.</c></param>
/// <param name="Score">The linear map to one number.</param>
/// <param name="HasBias">Whether that map has a bias.</param>
/// <param name="Dense">The map before it; null for none.</param>
/// <param name="DenseIsBackbone">Whether the dense map belongs to the backbone's class (BERT's pooler): stored under its prefix, adapted by LoRA as other maps are.</param>
internal sealed record ScoreHeads(
    string ClassPrefix, string BackbonePrefix, string Score, bool HasBias, string? Dense = null, bool DenseIsBackbone = false)
{
    private const string Class = "ForSequenceClassification";

    private static readonly Dictionary<string, ScoreHeads> s_heads = new(StringComparer.Ordinal)
    {
        ["llama"] = OfDecoder("Llama"),
        ["mistral"] = OfDecoder("Mistral"),
        ["qwen2"] = OfDecoder("Qwen2"),
        ["qwen3"] = OfDecoder("Qwen3"),
        ["gemma"] = OfDecoder("Gemma"),
        ["gemma2"] = OfDecoder("Gemma2"),
        ["phi"] = OfDecoder("Phi"),
        ["bert"] = new("Bert", "bert.", "classifier", HasBias: true, "pooler.dense", DenseIsBackbone: true),
        ["roberta"] = new("Roberta", "roberta.", "classifier.out_proj", HasBias: true, "classifier.dense"),
        ["xlm-roberta"] = new("XLMRoberta", "roberta.", "classifier.out_proj", HasBias: true, "classifier.dense"),
        ["modernbert"] = new("ModernBert", "model.", "classifier", HasBias: true, "head.dense"),
    };

    /// <summary>The class that saves a reranker of the family.</summary>
    public string Architecture => ClassPrefix + Class;

    /// <summary>The head of <paramref name="modelType"/>.</summary>
    /// <exception cref="InputException">Rerankers of that family are not supported.</exception>
    public static ScoreHeads Of(string modelType) => s_heads.TryGetValue(modelType, out ScoreHeads? head)
        ? head
        : throw new InputException($"model_type \"{modelType}\" has no score head here; rerankers can be of {string.Join(", ", s_heads.Keys)}");

    /// <summary>The name under which the reranker's class stores the weight or module <paramref name="canonical"/>.</summary>
    public string StoredName(string canonical) =>
        canonical.StartsWith(Score[..(Score.IndexOf('.', StringComparison.Ordinal) is var dot and > 0 ? dot : Score.Length)] + ".", StringComparison.Ordinal)
        || (!DenseIsBackbone && Dense is not null && canonical.StartsWith(Dense.Split('.')[0] + ".", StringComparison.Ordinal))
            ? canonical
            : BackbonePrefix + canonical;

    /// <summary>
    /// The modules that an adapter holds in full: PEFT's <c>classifier</c> and <c>score</c>, and what else of the head is new (<paramref name="fresh"/>).
    /// </summary>
    public IReadOnlyList<string> ModulesToSave(IReadOnlyList<string> fresh)
    {
        string? module = Dense?.Split('.')[0];
        bool isNew = module is not (null or "classifier") && fresh.Any(name => name.StartsWith(module + ".", StringComparison.Ordinal));
        return isNew ? ["classifier", "score", module!] : ["classifier", "score"];
    }

    /// <summary>Takes the head's weights.</summary>
    public ScoreHead Build(ModelBuilder builder)
    {
        ModelConfig config = builder.Config;
        int hidden = config.HiddenSize;
        bool isModern = config.ModelType == "modernbert";
        Linear? dense = Dense is null ? null : builder.Linear(Dense, hidden, hidden, bias: !isModern || config.ClassifierBias, adaptable: DenseIsBackbone);
        Norm? norm = isModern ? builder.LayerNorm("head.norm", config.NormBias) : null;
        return new ScoreHead(
            builder.Backend, Dense is null ? Pooling.Last : config.ClassifierPooling, dense, isModern ? config.ClassifierActivation : Activation.Tanh, norm,
            builder.WideParameter($"{Score}.weight", 1, hidden), HasBias ? builder.Parameter($"{Score}.bias", 1) : null);
    }

    private static ScoreHeads OfDecoder(string classPrefix) => new(classPrefix, "model.", "score", HasBias: false);
}
