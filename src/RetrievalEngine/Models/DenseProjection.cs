using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Models;

/// <summary>
/// The Dense modules of a sentence-transformers folder: what a pooled vector passes through before it is cut and normalised. LoRA leaves them as they
/// are, full fine-tuning trains them.
/// </summary>
public sealed class DenseProjection
{
    private readonly IBackend _backend;
    private readonly LinearGroup[] _maps;

    private DenseProjection(IBackend backend, IReadOnlyList<DenseModule> modules, Linear[] linears)
    {
        _backend = backend;
        _maps = Array.ConvertAll(linears, linear => new LinearGroup(backend, linear));
        Modules = modules;
        Parameters = [.. linears.SelectMany(l => l.Bias is { } bias ? (Parameter[])[l.Weight, bias] : [l.Weight])];
    }

    /// <summary>The modules, in the order in which a vector passes through them.</summary>
    public IReadOnlyList<DenseModule> Modules { get; }

    /// <summary>Their weights: <c>2_Dense.linear.weight</c>, …</summary>
    public IReadOnlyList<Parameter> Parameters { get; }

    /// <summary>Elements of a vector behind the last module.</summary>
    public int OutputSize => Modules[^1].Outputs;

    /// <summary>Reads the weights of <paramref name="modules"/>, which <paramref name="model"/> owns then.</summary>
    /// <exception cref="InputException">Missing, damaged, or of other widths than vector and configuration have.</exception>
    internal static DenseProjection Load(IBackend backend, Transformer model, string folder, IReadOnlyList<DenseModule> modules)
    {
        int width = model.HiddenSize;
        List<Linear> linears = [];
        foreach (DenseModule module in modules)
        {
            if (module.Inputs != width)
                throw new InputException($"{Path.Combine(folder, module.Folder)}: the module takes {module.Inputs} elements but is given {width}");
            using TensorFile file = TensorFile.Open(module.WeightsFile(folder));
            Parameter weight = Read(DenseModule.WeightName, new Shape(module.Outputs, module.Inputs));
            Parameter? bias = module.Bias ? Read(DenseModule.BiasName, new Shape(module.Outputs)) : null;
            if (file.Tensors.FirstOrDefault(t => t.Name != DenseModule.WeightName && !(module.Bias && t.Name == DenseModule.BiasName)) is { } other)
                throw new InputException($"{file.Path}: tensor \"{other.Name}\" is none of the module's");
            linears.Add(new Linear($"{module.Folder}.linear", weight, bias));
            width = module.Outputs;

            Parameter Read(string name, Shape shape)
            {
                StoredTensor stored = file.Find(name);
                if (stored.Shape != shape) throw new InputException($"{file.Path}: tensor \"{name}\" has shape {stored.Shape} instead of {shape}");
                if (!file.IsFinite(name)) throw new InputException($"{file.Path}: tensor \"{name}\" has values that are infinite or not a number");
                DeviceMemory memory = backend.Allocate(shape.Count * sizeof(float));
                model.Own(memory);
                Tensor value = new(memory, 0, shape, DType.F32);
                backend.Upload<float>(file.ReadFloat32(name), value);
                return new Parameter($"{module.Folder}.{name}", value);
            }
        }

        return new DenseProjection(backend, modules, [.. linears]);
    }

    /// <summary>Writes the weights beside the configurations that <see cref="SentenceTransformerWriter"/> writes.</summary>
    internal void Save(string folder)
    {
        foreach (DenseModule module in Modules)
        {
            string prefix = module.Folder + ".";
            SafeTensorsWriter.Write(Path.Combine(folder, module.Folder, "model.safetensors"),
            [
                .. Parameters.Where(p => p.Name.StartsWith(prefix, StringComparison.Ordinal))
                    .Select(p => TensorSource.FromTensor(p.Name[prefix.Length..], _backend, p.Value, DType.F32)),
            ]);
        }
    }

    /// <summary>Vectors [B, out] F32 of <paramref name="pooled"/> [B, H] F32, in <paramref name="arena"/>.</summary>
    internal Tensor Forward(Tensor pooled, Arena arena, out Saved[] saved)
    {
        saved = new Saved[_maps.Length];
        Tensor x = _backend.Convert(pooled, _backend.ActivationDType, arena);
        for (int i = 0; i < _maps.Length; i++)
        {
            Tensor sum = _maps[i].Forward(x, seed: 0, arena, out LinearGroup.Saved map)[0];
            saved[i] = new Saved(sum, map);
            x = sum;
            if (Modules[i].Activation == Activation.None) continue;
            x = arena.Allocate(sum.Shape, sum.DType);
            _backend.ActivationForward(sum, Modules[i].Activation, x);
        }

        return _backend.Convert(x, DType.F32, arena);
    }

    /// <summary>Adds the gradients of what is trained and writes <paramref name="dPooled"/> [B, H] F32, from <paramref name="d"/> [B, out] F32.</summary>
    internal void Backward(Tensor d, Saved[] saved, Tensor dPooled, Arena scratch)
    {
        ArenaMark mark = scratch.Mark();
        // A copy even without a change of type: the activation's gradient is written over it.
        Tensor dy = scratch.Allocate(d.Shape, _backend.ActivationDType);
        _backend.Cast(d, dy);
        for (int i = _maps.Length - 1; i >= 0; i--)
        {
            if (Modules[i].Activation != Activation.None) _backend.ActivationBackward(dy, saved[i].Sum, Modules[i].Activation, dy);
            Tensor dx = scratch.Allocate(saved[i].Map.X.Shape, _backend.ActivationDType);
            _maps[i].Backward([dy], saved[i].Map, dx, accumulate: false);
            dy = dx;
        }

        _backend.Cast(dy, dPooled);
        scratch.Release(mark);
    }

    /// <summary>What backward needs of a module: what its activation was given, and what its map keeps.</summary>
    internal readonly record struct Saved(Tensor Sum, LinearGroup.Saved Map);
}
