namespace RetrievalEngine.Text;

/// <summary>
/// What <c>tokenizer_config.json</c> and <c>special_tokens_map.json</c> say; null where they say nothing.
/// </summary>
/// <param name="BosId">The id of the token that begins a text.</param>
/// <param name="EosId">The id of the token that ends a text.</param>
/// <param name="PadId">The id that fills up batches.</param>
/// <param name="ClsId">The id of BERT's first token.</param>
/// <param name="SepId">The id of BERT's separator.</param>
/// <param name="UnkId">The id of the unknown token.</param>
/// <param name="ModelMaxLength">The most tokens a text may have, special ones included.</param>
/// <param name="AddBos">Whether a text gets a BOS token in front.</param>
/// <param name="AddEos">Whether a text gets an EOS token behind.</param>
public sealed record SpecialTokens(
    int? BosId, int? EosId, int? PadId, int? ClsId, int? SepId, int? UnkId, int? ModelMaxLength, bool? AddBos, bool? AddEos);
