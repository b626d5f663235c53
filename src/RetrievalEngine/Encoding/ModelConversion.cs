using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Numerics.Tensors;
using System.Text.Json;
using System.Text.Json.Nodes;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Encoding;

/// <summary>
/// The same checkpoint or adapter in another container and type: every tensor under the name it has, as safetensors; configuration, tokenizer and the other small files
/// beside it as they are. Nothing is computed and nothing left out, so that heads which this program does not use survive too.
/// </summary>
public static class ModelConversion
{
    private const int Chunk = 1 << 20;
    private static readonly JsonSerializerOptions s_indented = new() { WriteIndented = true };
    // The mark of a training run, which the new folder is not.
    private const string RunFile = "training_run.json";
    private static readonly string[] s_copied = [".json", ".txt", ".model", ".jinja", ".tiktoken", ".md"];

    /// <summary>
    /// Writes what lies in <paramref name="source"/> into the new folder <paramref name="output"/> and returns its tensors. Floats are stored as <paramref name="dtype"/>, or
    /// as they are for null. A checkpoint is cut into shards of <paramref name="maxShardBytes"/>. A contract in the folder gets the hash of the new weights.
    /// </summary>
    /// <exception cref="InputException">The source is damaged, a value does not fit into the type, or the output is there already.</exception>
    public static IReadOnlyList<TensorSource> Convert(string source, string output, DType? dtype, long maxShardBytes = CheckpointWriter.DefaultMaxShardBytes)
    {
        if (File.Exists(Path.Combine(source, AdapterConfig.FileName)))
        {
            using TensorFile file = TensorFile.Open(Adapter.FindWeights(source));
            TensorSource[] tensors = [.. file.Tensors.Select(t => Source(file, t, dtype))];
            AtomicFile.CreateFolder(output, folder =>
            {
                CopySmallFiles(source, folder, except: null);
                SafeTensorsWriter.Write(Path.Combine(folder, Adapter.WeightsFile), tensors, CheckpointWriter.Metadata);
            });
            return tensors;
        }

        ModelConfig.Load(source);
        using Checkpoint checkpoint = Checkpoint.Open(source);
        TensorSource[] weights = [.. checkpoint.Tensors.Select(t => Source(checkpoint.FileOf(t.Name), t, dtype))];
        AtomicFile.CreateFolder(output, folder =>
        {
            CopySmallFiles(source, folder, ModelConfig.FileName);
            CopyModules(source, folder);
            CheckpointWriter.Write(folder, Config(Path.Combine(source, ModelConfig.FileName), dtype), weights, maxShardBytes);
            RenewContracts(folder);
        });
        return weights;
    }

    private static TensorSource Source(TensorFile file, StoredTensor tensor, DType? dtype)
    {
        DType stored = file.DTypeOf(tensor.Name), wanted = stored.IsFloat() ? dtype ?? stored : stored;
        if (wanted == DType.F16 && stored != DType.F16) RequireRangeOfHalf(file, tensor);
        return TensorSource.FromFile(tensor.Name, file, tensor.Name, wanted);
    }

    private static void RequireRangeOfHalf(TensorFile file, StoredTensor tensor)
    {
        float[] values = new float[Math.Min(Chunk, tensor.Shape.Count)];
        for (long start = 0; start < tensor.Shape.Count; start += values.Length)
        {
            Span<float> part = values.AsSpan(0, (int)Math.Min(values.Length, tensor.Shape.Count - start));
            file.ReadFloat32(tensor.Name, start, part);
            float largest = TensorPrimitives.MaxMagnitude(part);
            if (!(MathF.Abs(largest) <= (float)Half.MaxValue))
                throw new InputException($"{file.Path}: tensor \"{tensor.Name}\" has the value {largest}, which float16 cannot hold; use bfloat16 or float32");
        }
    }

    private static void CopySmallFiles(string source, string folder, string? except)
    {
        foreach (string path in Directory.EnumerateFiles(source))
        {
            string name = Path.GetFileName(path);
            bool isText = s_copied.Contains(Path.GetExtension(name)) && !name.EndsWith(".index.json", StringComparison.Ordinal);
            bool isLicense = name.StartsWith("LICENSE", StringComparison.Ordinal) || name.StartsWith("NOTICE", StringComparison.Ordinal);
            if ((isText || isLicense) && name != except && name != RunFile) File.Copy(path, Path.Combine(folder, name));
        }
    }

    /// <summary>The folders that <c>modules.json</c> names, with the weights of Dense modules as they are.</summary>
    private static void CopyModules(string source, string folder)
    {
        IReadOnlyList<DenseModule> dense = SentenceTransformerFolder.Find(source)?.Dense ?? [];
        foreach (string module in SentenceTransformerFolder.ModuleFolders(source))
        {
            string from = Path.Combine(source, module);
            if (!Directory.Exists(from)) continue;
            string to = Directory.CreateDirectory(Path.Combine(folder, module)).FullName;
            CopySmallFiles(from, to, except: null);
            if (dense.FirstOrDefault(d => d.Folder == module) is { } found) File.Copy(found.WeightsFile(source), Path.Combine(to, Path.GetFileName(found.WeightsFile(source))));
        }
    }

    private static string Config(string path, DType? dtype)
    {
        if (dtype is null) return System.Text.Encoding.UTF8.GetString(JsonFields.ReadBytes(path));
        JsonObject config = JsonNode.Parse(JsonFields.ReadBytes(path))!.AsObject();
        // transformers 4 calls it torch_dtype, 5 dtype.
        config[config.ContainsKey("dtype") ? "dtype" : "torch_dtype"] = EmbeddingManifest.DTypeName(dtype.Value);
        return config.ToJsonString(s_indented) + "\n";
    }

    private static void RenewContracts(string folder)
    {
        string hash = ContractResolver.Hashes(folder, adapterFolder: null, progress: null, cancellation: default).Weights;
        foreach (string path in Directory.EnumerateFiles(folder, "*_contract.json"))
        {
            JsonObject contract = JsonNode.Parse(JsonFields.ReadBytes(path))!.AsObject();
            contract["weights_hash"] = hash;
            AtomicFile.WriteText(path, contract.ToJsonString(s_indented) + "\n");
        }
    }
}
