using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.Json.Nodes;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Checkpoints;

/// <summary>A Dense module of a sentence-transformers folder: y = f(W x + b) of the pooled vector (gtr, sentence-t5, LaBSE).</summary>
/// <param name="Folder">Its folder within the model's: <c>2_Dense</c>.</param>
/// <param name="Inputs">Elements of x.</param>
/// <param name="Outputs">Elements of y.</param>
/// <param name="Bias">Whether there is a b.</param>
/// <param name="Activation">f.</param>
public sealed record DenseModule(string Folder, int Inputs, int Outputs, bool Bias, Activation Activation)
{
    /// <summary>Name of W [outputs, inputs] in the module's file.</summary>
    public const string WeightName = "linear.weight";

    /// <summary>Name of b [outputs].</summary>
    public const string BiasName = "linear.bias";

    private const int Widest = 1 << 20;

    // What torch calls them, the package left out.
    private static readonly Dictionary<string, Activation> s_activations = new()
    {
        ["torch.nn.modules.linear.Identity"] = Activation.None,
        ["torch.nn.modules.activation.Tanh"] = Activation.Tanh,
        ["torch.nn.modules.activation.ReLU"] = Activation.Relu,
        ["torch.nn.modules.activation.GELU"] = Activation.GeluErf,
        ["torch.nn.modules.activation.SiLU"] = Activation.Silu,
    };

    /// <summary>The file with its weights in the folder <paramref name="model"/>: safetensors, or what older versions wrote.</summary>
    public string WeightsFile(string model)
    {
        string file = Path.Combine(model, Folder, "model.safetensors"), torch = Path.Combine(model, Folder, "pytorch_model.bin");
        return !File.Exists(file) && File.Exists(torch) ? torch : file;
    }

    /// <summary>Reads the configuration of the module in <paramref name="folder"/> of the model.</summary>
    internal static DenseModule Read(string model, string folder)
    {
        JsonFields json = JsonFields.Read(Path.Combine(model, folder, "config.json"));
        foreach (string field in (string[])["module_input_name", "module_output_name"])
        {
            if (json.TextOrNull(field) is { } name and not "sentence_embedding")
                throw json.Error(field, $"is {name}, which is not supported; a Dense module works on sentence_embedding");
        }

        string activation = json.Text("activation_function");
        if (!s_activations.TryGetValue(activation, out Activation known))
            throw json.Error("activation_function", $"is {activation}, which is not supported; known: {string.Join(", ", s_activations.Keys)}");
        return new DenseModule(folder, json.Int("in_features", 1, Widest), json.Int("out_features", 1, Widest), json.Flag("bias", true), known);
    }

    /// <summary>Its configuration, as <see cref="Read"/> reads it.</summary>
    internal JsonObject ToJson() => new()
    {
        ["in_features"] = Inputs,
        ["out_features"] = Outputs,
        ["bias"] = Bias,
        ["activation_function"] = s_activations.First(pair => pair.Value == Activation).Key,
    };
}
