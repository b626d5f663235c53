using System.Collections.Generic;
using System.CommandLine;
using RetrievalEngine.Encoding;
using RetrievalEngine.Text;

namespace RetrievalEngine.Cli;

/// <summary>The options with which a user treats texts otherwise than the model says, for every verb that encodes or trains.</summary>
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

    public ContractOptions() => _pooling.AcceptOnlyFromAmong(s_poolings!);

    /// <summary>All of them, to be added to a verb.</summary>
    public IEnumerable<Option> All =>
        [_queryPrefix, _passagePrefix, _queryMaxLength, _passageMaxLength, _truncationSide, _pooling, _normalize, _addSpecialTokens, _appendEosToken, _dimensions];

    /// <summary>What the user gave.</summary>
    public ContractOverrides Read(ParseResult parsed) => new()
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
    };
}
