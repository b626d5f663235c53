using System;
using System.Collections.Generic;
using System.Linq;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Models.Families;

namespace RetrievalEngine.Models;

/// <summary>
/// Takes weights by canonical name and shape while a family assembles its network, and collects what the network consists of. Unless <paramref name="exact"/>, matrices
/// of another type than a 16-bit backend's are rounded to it once, as each product would do again and again. <paramref name="withHead"/> adds the family's score head.
/// </summary>
internal sealed class ModelBuilder(IBackend backend, IWeightSource weights, ModelConfig config, bool exact, bool withHead) : IDisposable
{
    private readonly List<Parameter> _parameters = [];
    private readonly List<Linear> _linears = [];
    private readonly List<IDisposable> _owned = [];

    /// <summary>The backend that the network will run on.</summary>
    public IBackend Backend => backend;

    /// <summary>What <c>config.json</c> says.</summary>
    public ModelConfig Config => config;

    /// <summary>The weights called <paramref name="name"/>. Vectors (norms, biases) are widened to F32.</summary>
    /// <exception cref="InputException">Missing, or of another shape.</exception>
    public Parameter Parameter(string name, params ReadOnlySpan<long> shape) => Take(name, new Shape(shape), wide: shape.Length == 1);

    /// <summary>A table that an op wants in F32.</summary>
    public Parameter WideParameter(string name, params ReadOnlySpan<long> shape) => Take(name, new Shape(shape), wide: true);

    /// <summary>
    /// The linear map <paramref name="name"/> from <paramref name="inputs"/> to <paramref name="outputs"/>; LoRA can adapt it where it is <paramref name="adaptable"/>.
    /// </summary>
    public Linear Linear(string name, long outputs, long inputs, bool bias, bool adaptable = true)
    {
        Parameter weight = Parameter($"{name}.weight", outputs, inputs);
        Linear linear = new(name, weight, bias ? Parameter($"{name}.bias", outputs) : null);
        if (adaptable) _linears.Add(linear);
        return linear;
    }

    /// <summary>
    /// The RMSNorm <paramref name="name"/> over rows of <paramref name="width"/> elements (0: the hidden width), its weights meant as <paramref
    /// name="offset"/> + weight.
    /// </summary>
    public Norm RmsNorm(string name, int width = 0, float offset = 0) =>
        new(backend, isRms: true, Parameter($"{name}.weight", width == 0 ? config.HiddenSize : width), bias: null, (float)config.NormEps, offset);

    /// <summary>The LayerNorm <paramref name="name"/>.</summary>
    public Norm LayerNorm(string name, bool bias = true) =>
        new(backend, isRms: false, Parameter($"{name}.weight", config.HiddenSize), bias ? Parameter($"{name}.bias", config.HiddenSize) : null, (float)config.NormEps, weightOffset: 0);

    /// <summary>Rotary tables for layers that see everything, or for those with a window where <paramref name="local"/>.</summary>
    public RopeTable Rope(bool local = false)
    {
        RopeTable rope = new(backend, RopeFrequencies.Compute(config.RotaryDim, local ? config.LocalRopeTheta : config.RopeTheta, config.RopeScaling));
        _owned.Add(rope);
        return rope;
    }

    /// <summary>How attention works in <paramref name="layer"/>.</summary>
    public AttentionOptions Attention(int layer)
    {
        // A window of 0 keys means all of them.
        int others = config.SlidingWindows[layer] - 1;
        return new AttentionOptions((float)config.AttentionScale, WindowLeft: others, WindowRight: config.IsCausal ? 0 : others, SoftCap: (float)config.LogitSoftCap);
    }

    /// <summary>The finished network.</summary>
    public Transformer Build(InputEmbedding embedding, TransformerLayer[] layers, Norm? finalNorm)
    {
        ScoreHead? head = withHead ? ScoreHeads.Of(config.ModelType).Build(this) : null;
        weights.Complete(_parameters.Select(p => p.Name).ToHashSet());
        // The source last: on the CPU the weights view its files.
        _owned.Add(weights);
        return new Transformer(backend, config, embedding, layers, finalNorm, head, _parameters, _linears, _owned);
    }

    /// <summary>Gives everything back that was taken, for a network that was not finished.</summary>
    public void Dispose()
    {
        foreach (IDisposable owned in _owned) owned.Dispose();
        weights.Dispose();
    }

    /// <summary>The type in which weights stored as <paramref name="stored"/> are kept: see the class; <paramref name="wide"/> asks for F32.</summary>
    public static DType Kept(IBackend backend, DType stored, bool wide, bool exact) =>
        wide ? DType.F32 : exact || backend.ActivationDType == DType.F32 ? stored : backend.ActivationDType;

    private Parameter Take(string name, Shape shape, bool wide)
    {
        Tensor value = weights.Load(backend, name, shape, _owned);
        DType dtype = Kept(backend, value.DType, wide, exact);
        if (value.DType != dtype) value = Convert(value, dtype);
        Parameter parameter = new(name, value);
        _parameters.Add(parameter);
        return parameter;
    }

    private Tensor Convert(Tensor value, DType dtype)
    {
        Tensor converted = new(backend.Allocate(value.Count * dtype.Size()), 0, value.Shape, dtype);
        _owned.Add(converted.Memory!);
        backend.Cast(value, converted);
        _owned.Remove(value.Memory!);
        value.Memory!.Dispose();
        return converted;
    }
}
