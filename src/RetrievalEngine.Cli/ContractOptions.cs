using System.Collections.Generic;
using System.CommandLine;
using System.Linq;
using RetrievalEngine.Encoding;
using RetrievalEngine.Reranking;
using RetrievalEngine.Text;
using RetrievalEngine.Training;

namespace RetrievalEngine.Cli;

/// <summary>The options with which a user treats texts otherwise than the model says, for every verb that encodes, reranks or trains.</summary>
internal sealed class ContractOptions
{
    private static readonly string[] s_poolings = ["last", "cls", "mean", "weightedmean", "max"];

    private readonly Option<string?> _queryPrefix =
        new("--query-prefix") { Description = "Put before each query, spaces included", HelpName = "TEXT" };
    private readonly Option<string?> _passagePrefix =
        new("--passage-prefix") { Description = "Put before each passage, spaces included", HelpName = "TEXT" };
    private readonly Option<int?> _queryMaxLength = CommonOptions.Count("--query-max-len", "Most tokens of a query, special ones included");
    private readonly Option<int?> _passageMaxLength = CommonOptions.Count("--passage-max-len", "Most tokens of a passage, special ones included");
    private readonly Option<string?> _pooling = new("--pooling") { Description = "last token, cls, mean, weightedmean (by position) or max", HelpName = "POOLING" };
    private readonly Option<TruncationSide?> _truncationSide = new("--truncation-side") { Description = "Which end of a text that is too long goes: right or left" };
    private readonly Option<bool?> _normalize = new("--normalize") { Description = "Whether vectors are scaled to length 1" };
    private readonly Option<bool?> _addSpecialTokens =
        new("--add-special-tokens") { Description = "Whether the tokenizer's own special tokens are added" };
    private readonly Option<bool?> _appendEosToken = new("--append-eos-token") { Description = "Whether EOS is appended to each text" };
    private readonly Option<int?> _dimensions = CommonOptions.Count("--dimensions", "Keep the first N elements of a vector (Matryoshka)");

    private readonly Option<PairLayout?> _pairLayout = new("--pair-layout")
    {
        Description = "How a query and a passage become one sequence: pair (the tokenizer's template), segments (each with its own special tokens) or joined (one string)",
    };
    private readonly Option<int?> _rerankMaxLength = CommonOptions.Count("--rerank-max-len", "Most tokens of a query with its passage, special ones included");
    private readonly Option<string?> _preset = new("--preset") { Description = "A published convention, which other options change: see `retrieval info presets`", HelpName = "NAME" };

    public ContractOptions()
    {
        _pooling.AcceptOnlyFromAmong(s_poolings!);
        _preset.AcceptOnlyFromAmong([.. Presets.All.Select(preset => preset.Name)]);
    }

    /// <summary><c>--preset</c> alone, for a verb that has none of the others.</summary>
    public Option PresetName => _preset;

    /// <summary>Those of a retriever, to be added to a verb.</summary>
    public IEnumerable<Option> All => [.. OfTexts, .. OfVectors];

    /// <summary>Those of a reranker.</summary>
    public IEnumerable<Option> OfPairs => [.. OfTexts, .. OfPairsOnly];

    /// <summary>Those that mean nothing to a reranker.</summary>
    public IEnumerable<Option> OfVectors => [_pooling, _normalize, _dimensions];

    /// <summary>Those that mean nothing to a retriever.</summary>
    public IEnumerable<Option> OfPairsOnly => [_pairLayout, _rerankMaxLength];

    private Option[] OfTexts => [_preset, _queryPrefix, _passagePrefix, _queryMaxLength, _passageMaxLength, _truncationSide, _addSpecialTokens, _appendEosToken];

    /// <summary>The preset that the user named, which must be for <paramref name="task"/>; null for none.</summary>
    /// <exception cref="InputException">It is for something else.</exception>
    public Preset? Preset(ParseResult parsed, TrainingTaskKind task)
    {
        if (parsed.GetValue(_preset) is not { } name) return null;
        Preset preset = Presets.Find(name);
        return preset.Task == task ? preset : throw new InputException($"--preset {name} is for a {(preset.Task == TrainingTaskKind.Reranker ? "reranker" : "retriever")}");
    }

    /// <summary>What the user gave for a reranker, over the preset.</summary>
    public RerankOverrides ReadPairs(ParseResult parsed) => new RerankOverrides
    {
        Layout = parsed.GetValue(_pairLayout),
        QueryPrefix = parsed.GetValue(_queryPrefix),
        PassagePrefix = parsed.GetValue(_passagePrefix),
        QueryMaxLength = parsed.GetValue(_queryMaxLength),
        PassageMaxLength = parsed.GetValue(_passageMaxLength),
        MaxLength = parsed.GetValue(_rerankMaxLength),
        TruncationSide = parsed.GetValue(_truncationSide),
        AddSpecialTokens = parsed.GetValue(_addSpecialTokens),
        AppendEosToken = parsed.GetValue(_appendEosToken),
    }.Over(Preset(parsed, TrainingTaskKind.Reranker)?.Rerank ?? new RerankOverrides());

    /// <summary>What the user gave for a retriever, over the preset.</summary>
    public ContractOverrides Read(ParseResult parsed) => new ContractOverrides
    {
        QueryPrefix = parsed.GetValue(_queryPrefix),
        PassagePrefix = parsed.GetValue(_passagePrefix),
        QueryMaxLength = parsed.GetValue(_queryMaxLength),
        PassageMaxLength = parsed.GetValue(_passageMaxLength),
        TruncationSide = parsed.GetValue(_truncationSide),
        Pooling = parsed.GetValue(_pooling) is { } pooling ? EncodingContract.ParsePooling(pooling) : null,
        Normalize = parsed.GetValue(_normalize),
        AddSpecialTokens = parsed.GetValue(_addSpecialTokens),
        AppendEosToken = parsed.GetValue(_appendEosToken),
        Dimensions = parsed.GetValue(_dimensions),
    }.Over(Preset(parsed, TrainingTaskKind.Retriever)?.Contract ?? new ContractOverrides());
}
