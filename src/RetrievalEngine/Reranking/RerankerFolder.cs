using System;
using RetrievalEngine.Compute;
using RetrievalEngine.Encoding;
using RetrievalEngine.Models;
using RetrievalEngine.Text;

namespace RetrievalEngine.Reranking;

/// <summary>
/// Writes a reranker as a complete folder that transformers' <c>AutoModelForSequenceClassification</c> and sentence-transformers' <c>CrossEncoder</c> load.
/// </summary>
public static class RerankerFolder
{
    /// <summary>
    /// Writes <paramref name="model"/>, loaded from <paramref name="source"/>, into <paramref name="folder"/>; weights that lie there are replaced, adapters are merged in.
    /// <paramref name="contract"/> gets the hash of the new weights.
    /// </summary>
    public static void Save(IBackend backend, Transformer model, string source, RerankContract contract, Tokenizer tokenizer, string folder, DType dtype)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(contract);
        ArgumentNullException.ThrowIfNull(tokenizer);
        ModelFolder.SaveWeights(backend, model, source, model.Config.ToJson(dtype, architecture: null, padTokenId: tokenizer.Special.PadId), folder, dtype);
        (string weights, _) = ContractResolver.Hashes(folder, adapterFolder: null, progress: null, cancellation: default);
        (contract with { WeightsHash = weights, AdapterHash = null }).Save(folder);
    }
}
