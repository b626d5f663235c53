using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Models;
using RetrievalEngine.Text;

namespace RetrievalEngine.Encoding;

/// <summary>
/// Writes a model as a complete folder: weights with adapters merged in, configuration, tokenizer and contract, in the layout of Hugging Face and
/// sentence-transformers.
/// </summary>
public static class ModelFolder
{
    // What a Hugging Face folder keeps a tokenizer in.
    private static readonly string[] s_tokenizerFiles =
    [
        "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt", "tokenizer.model",
        "spiece.model", "sentencepiece.bpe.model",
    ];

    /// <summary>
    /// Writes <paramref name="model"/>, loaded from <paramref name="source"/>, into <paramref name="folder"/>; weights that lie there are replaced.
    /// <paramref name="contract"/> gets the hash of the new
    /// weights. The layout of sentence-transformers is added where it can say what the contract says, that is without an EOS appended by id.
    /// </summary>
    public static void Save(IBackend backend, Transformer model, string source, EncodingContract contract, Tokenizer tokenizer, string folder, DType dtype)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(contract);
        string architecture = model.Config.Architecture;
        int head = architecture.IndexOf("For", StringComparison.Ordinal);
        SaveWeights(backend, model, source, model.Config.ToJson(dtype, head < 0 ? null : $"{architecture.AsSpan(0, head)}Model"), folder, dtype);
        // A projection is found by these files alone.
        if (!contract.AppendEosToken || model.Projection is not null)
        {
            SentenceTransformerFolder modules = new(contract.Pooling, contract.Normalize, contract.PassageMaxLength, contract.QueryPrefix, contract.PassagePrefix,
                contract.Similarity == Similarity.Dot)
            {
                Dense = model.Projection?.Modules ?? [],
            };
            model.Projection?.Save(folder);
            SentenceTransformerWriter.Write(folder, modules, model.HiddenSize);
        }

        ContractResolver.WithHashesOf(contract, folder, adapterFolder: null, tokenizer, progress: null, cancellation: default).Save(folder);
    }

    /// <summary>Copies the files of the tokenizer in <paramref name="source"/>, whatever its layout, into <paramref name="folder"/>.</summary>
    public static void CopyTokenizer(string source, string folder)
    {
        foreach (string name in s_tokenizerFiles.Where(name => File.Exists(Path.Combine(source, name))))
            AtomicFile.Write(Path.Combine(folder, name), stream => stream.Write(File.ReadAllBytes(Path.Combine(source, name))));
    }

    /// <summary>Writes <paramref name="model"/>'s weights, adapters merged in, the tokenizer of <paramref name="source"/> and <paramref name="configJson"/>; weights that lie there are replaced.</summary>
    internal static void SaveWeights(IBackend backend, Transformer model, string source, string configJson, string folder, DType dtype)
    {
        Directory.CreateDirectory(folder);
        foreach (string old in Directory.EnumerateFiles(folder, "model*.safetensors*")) File.Delete(old);
        Dictionary<Parameter, LoraAdapter?> adapted = model.Linears.Where(linear => linear.Lora is not null).ToDictionary(linear => linear.Weight, linear => linear.Lora);
        TensorSource[] tensors =
        [
            .. model.Parameters.Select(p => p.Value.DType == dtype && !adapted.ContainsKey(p)
                ? TensorSource.FromTensor(model.StoredName(p), backend, p.Value, dtype)
                // One at a time while writing: merged and widened, the whole model may not fit.
                : new TensorSource(model.StoredName(p), dtype, p.Value.Shape, stream =>
                    TensorSource.FromFloat32(p.Name, p.Value.Shape, LoraWeights.Merged(backend, p.Value, adapted.GetValueOrDefault(p)), dtype).WriteTo(stream))),
        ];
        CopyTokenizer(source, folder);
        CheckpointWriter.Write(folder, configJson, tensors);
    }
}
