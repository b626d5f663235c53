using RetrievalEngine.Compute;
using RetrievalEngine.Encoding;

namespace RetrievalEngine.Tests.Encoding;

/// <summary>Contracts and plans for tests.</summary>
internal static class Contracts
{
    public static EncodingContract Some(int dimensions = 4) => new()
    {
        QueryPrefix = "query: ",
        PassagePrefix = "passage: ",
        AddSpecialTokens = true,
        AppendEosToken = true,
        EosTokenId = 2,
        QueryMaxLength = 32,
        PassageMaxLength = 128,
        Pooling = Pooling.Last,
        Normalize = true,
        Dimensions = dimensions,
        Temperature = 0.02f,
        TokenizerHash = "t0",
        WeightsHash = "w0",
        AdapterHash = "a0",
    };

    public static EmbeddingManifest Plan(int dimensions = 4, long rows = 10, int rowsPerShard = 4, DType dtype = DType.F32) => new()
    {
        Side = EncodingSide.Passage,
        Contract = Some(dimensions),
        DType = dtype,
        ModelPath = "/models/some",
        Source = new EmbeddingSource("/data/corpus.jsonl", "c0", rows),
        RowsPerShard = rowsPerShard,
    };
}
